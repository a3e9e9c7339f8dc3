// styles_bombs_test.cpp: compressed messages of a few bytes that become very large, for sessions
// and in parts. The same for callbacks is in compression_hostile_test.cpp.
#include "tests/server/styles.h"
#include "tests/support/deflate_stream.h"

using namespace test;

namespace {

constexpr unsigned kRsv1 = 0x40;

Client with_compression(Server &server)
{
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    return client;
}

// A compressed message of one byte, repeated: a thousandth of this many bytes.
std::string bomb(size_t mebibytes)
{
    DeflateStream stream(12, 9);
    std::string payload = stream.feed(std::string(kMiB, 'x'), false);
    payload += repeated(stream.feed(std::string(kMiB, 'x'), false), mebibytes - 1);
    return encode_frame(true, WS_OPCODE_BINARY | kRsv1, payload + '\0');
}

} // namespace

TEST_CASE("a bomb costs no more than the program takes of it")
{
    constexpr size_t kAttackers = 3;
    constexpr size_t kMost = 8 * kMiB; // by the program
    const std::string bytes = bomb(1024);
    REQUIRE(bytes.size() < 2 * kMiB);
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        seen.most = kMost;
        Server server(in_style(style, seen));
        Bystander bystander(server.port());
        const Peak peak;
        for (size_t i = 0; i < kAttackers; ++i) {
            Client attacker = with_compression(server);
            attacker.send_raw(bytes);
            CHECK(attacker.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
            attacker.reset();
            (void)wait_for_end(server, style, seen, i + 1);
        }
        CHECK(bystander.is_served());
        // A session inflates a part when it asks for it, and for onpart 1 MiB waits; but what the
        // same read has brought may be inflated, too.
        const size_t each = in_parts(style) ? 2 * kMost : kMostMessage;
        CHECK(server.stats().inflated_bytes_after <= kAttackers * each);
        CHECK(peak.grown_by() < 10 * kMiB);
    }
}

TEST_CASE("a session that does something else inflates nothing of a bomb meanwhile")
{
    std::atomic<bool> has_begun = false;
    Server server({.settings = [](libwebsock_context *context) { context->compression = 1; },
                   .onsession =
                       [&](Scene &scene, libwebsock_client_state *client) {
                           libwebsock_part part{};
                           CHECK(libwebsock_receive_part(client, &part, -1) == 1);
                           has_begun = true;
                           scene.gate.wait();
                           unsigned long long end = part.len;
                           while (libwebsock_receive_part(client, &part, -1) == 1 &&
                                  part.fin == 0) {
                               CHECK(part.offset == end);
                               end += part.len;
                           }
                           CHECK(part.offset + part.len == 16 * kMiB);
                       }});
    Client client = with_compression(server);
    client.send_raw(bomb(16));
    CHECK(eventually([&] { return has_begun.load(); }));
    CHECK(is_at_rest());
    CHECK(server.stats().inflated_bytes_after <= 128 * kKiB);
    server.gate().open();
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}
