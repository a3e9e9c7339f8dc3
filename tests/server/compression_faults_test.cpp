// compression_faults_test.cpp: fails every allocation in the life of a connection whose messages
// are compressed, one per run. The connection may end over it; the process and the others go on,
// and no message is ever another one than was sent. Without compression it is allocation_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace test;

namespace {

// Callbacks that, like the fixture's, allocate nothing themselves.
std::atomic<unsigned long long> opened;
std::atomic<unsigned long long> closed;

constexpr const char *kOffer = "permessage-deflate; client_max_window_bits";

// Text that gets much smaller, and differs from one n to the next.
std::string prices(size_t n, size_t bytes)
{
    std::string text;
    for (; text.size() < bytes; ++n)
        text +=
            "{\"bid\":1." + std::to_string(n * 7919 % 10007) + ",\"n\":" + std::to_string(n) + "}";
    text.resize(bytes);
    return text;
}

int publish_quietly(libwebsock_context *context, const libwebsock_message *msg)
{
    libwebsock_publication publication{};
    publication.size = sizeof publication;
    publication.topic = "room";
    publication.payload = msg->payload;
    publication.payload_len = msg->payload_len;
    return libwebsock_publish(context, &publication);
}

// Text comes back in two fragments, binary whole, and then as a publication.
int echo_quietly(libwebsock_client_state *client, libwebsock_message *msg)
{
    const size_t half = msg->payload_len / 2;
    int error = 0;
    if (msg->opcode == WS_OPCODE_TEXT)
        error |= libwebsock_send_fragment(client, msg->payload, half, WS_OPCODE_TEXT) |
                 libwebsock_send_fragment(client, msg->payload + half, msg->payload_len - half,
                                          WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
    else
        error |= libwebsock_send_binary(client, msg->payload, msg->payload_len);
    if (libwebsock_client_request(client)->path == std::string_view("/"))
        error |= publish_quietly(client->ctx, msg);
    if (error != 0)
        libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "out of memory");
    return 0;
}

void set_up(libwebsock_context *context)
{
    context->compression = 1;
    context->onopen = [](libwebsock_client_state *client) {
        ++opened;
        if (libwebsock_client_request(client)->path == std::string_view("/") &&
            libwebsock_subscribe(client, "room", nullptr) != 0)
            libwebsock_close(client);
        return 0;
    };
    context->onclose = [](libwebsock_client_state *) {
        ++closed;
        return 0;
    };
    context->onmessage = echo_quietly;
    context->onlog = [](libwebsock_context *, int, const char *) {};
    context->onpong = nullptr;
    context->control_callback = nullptr;
}

// The next message, however many frames it comes in. Throws if the connection ends.
std::string receive_message(Client &client)
{
    std::string whole;
    for (;;) {
        const Frame frame = client.receive_frame();
        if (frame.opcode == WS_OPCODE_CLOSE)
            fail("closed");
        if ((frame.opcode & 0x8) != 0)
            continue;
        whole += frame.payload;
        if (frame.fin)
            return whole;
    }
}

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void exchange(Client &client, unsigned opcode, const std::string &text)
{
    client.send_compressed(opcode, text);
    for (int i = 0; i < 2; ++i)
        if (receive_message(client) != text)
            throw Wrong("another message");
}

// All that compression does for a connection: large, small, empty, in fragments, of a topic. From
// the opening handshake on the nth allocation fails, as long as failing exists; 0: none does.
// Throws if the connection ends early.
void live(Server &server, size_t nth, std::optional<FailingAllocations> &failing)
{
    Client client(server.port(), {.extensions = kOffer});
    if (nth > 0)
        failing.emplace(nth, Failing::one);
    client.handshake();
    for (size_t n = 0; n < 3; ++n)
        exchange(client, n % 2 == 0 ? WS_OPCODE_TEXT : WS_OPCODE_BINARY, prices(n, 700 + 900 * n));
    exchange(client, WS_OPCODE_BINARY, prices(4, 50'000));
    exchange(client, WS_OPCODE_TEXT, "");
    const std::string published = prices(5, 1000);
    if (publish(server.context(), {.text = published}) == 0 && receive_message(client) != published)
        throw Wrong("another publication");
    exchange(client, WS_OPCODE_TEXT, prices(6, 3000));
    client.send_close(WS_CLOSE_NORMAL);
    while (client.receive_frame().opcode != WS_OPCODE_CLOSE) {
    }
    client.expect_eof();
}

void check_echo(Client &client, size_t n)
{
    const std::string question = prices(n, 500);
    client.send_compressed(WS_OPCODE_TEXT, question);
    CHECK(receive_message(client) == question);
}

// With a server of its own, whose pools are empty. False: there is no nth allocation.
bool survives(size_t nth, size_t &lost)
{
    opened = closed = 0;
    Server server({.settings = set_up});
    Client other(server.port(), {.extensions = kOffer}); // has no part in the topic
    other.handshake("/other");
    REQUIRE(eventually([] { return opened == 1; }));
    std::optional<FailingAllocations> failing;
    try {
        live(server, nth, failing);
    } catch (const Wrong &wrong) {
        FAIL(wrong.what());
    } catch (const std::exception &error) {
        const std::string_view what = error.what();
        for (const char *bad : {"deadline", "zlib", "not complete"}) // it may end, but not so
            REQUIRE(what.find(bad) == std::string_view::npos);
        ++lost;
    }
    REQUIRE(eventually([] { return opened == closed + 1; }));
    const bool has_failed = failing->have_begun();
    failing.reset();
    check_echo(other, nth);
    live(server, 0, failing);
    check_echo(other, nth + 1);
    return has_failed;
}

} // namespace

TEST_CASE("each allocation of a connection with compression may fail")
{
    size_t lost = 0;
    size_t nth = 1;
    for (; survives(nth, lost); nth += over_tls() ? 3 : 1) // OpenSSL makes many
        CAPTURE(nth);
    MESSAGE(nth, " allocations, ", lost, " connections lost");
    CHECK(nth > 20);
    CHECK(lost > 10); // otherwise failures had no effect
}
