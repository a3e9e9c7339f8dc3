// compression_faults_test.cpp: fails every allocation in the life of a connection whose messages
// are compressed, one per run. The connection may end over it; the process and the others go on,
// and no message is ever another one than was sent. Without compression it is allocation_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <array>
#include <optional>

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

// Text comes back in two fragments, binary whole, with what is for everybody.
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
    error |= libwebsock_send_all_binary(client->ctx, msg->payload, msg->payload_len);
    if (error != 0)
        libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "out of memory");
    return 0;
}

void set_up(libwebsock_context *context)
{
    context->compression = 1;
    context->onopen = [](libwebsock_client_state *client) {
        ++opened;
        if (subscribe(client, "room") != 0)
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

// All that compression does for a connection: large, small, empty, in fragments, for all, of a
// topic. Throws if the connection ends early.
void live(Server &server)
{
    Client client(server.port(), {.extensions = kOffer});
    client.handshake();
    for (size_t n = 0; n < 3; ++n)
        exchange(client, n % 2 == 0 ? WS_OPCODE_TEXT : WS_OPCODE_BINARY, prices(n, 700 + 900 * n));
    exchange(client, WS_OPCODE_BINARY, prices(4, 50'000));
    exchange(client, WS_OPCODE_TEXT, "");
    const std::string published = prices(5, 1000);
    // Here it is the caller who is told.
    if (publish(server.context(), {.text = published}) == 0 && receive_message(client) != published)
        throw Wrong("another publication");
    exchange(client, WS_OPCODE_TEXT, prices(6, 3000));
    client.send_close(WS_CLOSE_NORMAL);
    while (client.receive_frame().opcode != WS_OPCODE_CLOSE) {
    }
    client.expect_eof();
}

// A client that was there before, and gets what is for everybody.
void check_other(Server &server, Client &other)
{
    const std::string question = prices(server.stats().messages_in, 500);
    other.send_compressed(WS_OPCODE_TEXT, question);
    std::array<std::string, 2> last;
    while (last[0] != question || last[1] != question) {
        last[0] = std::exchange(last[1], receive_message(other));
    }
}

// Lives once while the nth allocation fails. False if there is none.
bool survives(Server &server, size_t nth, bool behind_tls, size_t &lost)
{
    std::optional<FailingAllocations> failing;
    if (!behind_tls)
        failing.emplace(nth, Failing::one);
    try {
        if (behind_tls)
            failing.emplace(nth, Failing::one);
        live(server);
    } catch (const Wrong &wrong) {
        FAIL(wrong.what());
    } catch (const std::exception &error) {
        const std::string_view what = error.what();
        REQUIRE(what.find("deadline") == std::string_view::npos); // it may end, but not hang
        REQUIRE(what.find("zlib") == std::string_view::npos);     // nor send what cannot be read
        REQUIRE(what.find("not complete") == std::string_view::npos);
        ++lost;
    }
    REQUIRE(eventually([&] { return opened == closed + 1; }));
    return failing->have_begun();
}

} // namespace

TEST_CASE("each allocation of a connection with compression may fail")
{
    opened = closed = 0;
    Server server({.settings = set_up});
    Client other(server.port(), {.extensions = kOffer});
    other.handshake();
    live(server);
    // OpenSSL makes about a thousand during a TLS handshake: a sample of them is enough.
    const size_t step = over_tls() ? scaled(20, 3) : 1;
    size_t lost = 0;
    size_t nth = 1;
    for (; survives(server, nth, false, lost); nth += step) {
        CAPTURE(nth);
        check_other(server, other);
    }
    MESSAGE(nth, " allocations, ", lost, " connections lost");
    CHECK(nth > 20);
    CHECK(lost > 5); // otherwise failures had no effect
    live(server);
}
