// allocation_test.cpp: each allocation of a connection's life fails once, in turn, in the
// manner of sqlite's tests. The connection may end of it, but cleanly, and nothing else may
// come of it. Memory that stays short is in exhaustion_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <optional>

using namespace test;

namespace {

// Callbacks that allocate nothing, as the fixture's do, but what the library allocates for
// them; and that give up their client when that fails.
std::atomic<unsigned long long> opened;
std::atomic<unsigned long long> closed;
std::atomic<unsigned long long> blocked; // in the callback of a message that says so

int open_quietly(libwebsock_client_state *)
{
    ++opened;
    return 0;
}

int close_quietly(libwebsock_client_state *)
{
    ++closed;
    return 0;
}

const std::string kProtocol = "Sec-WebSocket-Protocol: a-protocol-with-a-long-name\r\n";

int request_quietly(libwebsock_client_state *client, const libwebsock_request *)
{
    const bool ok =
        libwebsock_add_response_header(client, "X-Long", "longer than short strings") == 0;
    return ok && libwebsock_accept_protocol(client, "a-protocol-with-a-long-name") == 0 ? 0 : 503;
}

int echo_quietly(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (std::string_view(msg->payload, msg->payload_len) == "block") {
        blocked = 1;
        blocked.wait(1);
        return 0;
    }
    const size_t half = msg->payload_len / 2;
    const bool in_pieces = msg->opcode == WS_OPCODE_TEXT && half > 0;
    int error = 0;
    if (in_pieces)
        error |= libwebsock_send_fragment(client, msg->payload, half, WS_OPCODE_TEXT) |
                 libwebsock_send_binary(client, "in between", 10) |
                 libwebsock_send_fragment(client, msg->payload + half, msg->payload_len - half,
                                          WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
    else
        error |= libwebsock_send_binary(client, msg->payload, msg->payload_len);
    error |= libwebsock_send_all_text(client->ctx, "to all");
    if (error != 0)
        libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "out of memory");
    return 0;
}

void allocate_nothing(libwebsock_context *context)
{
    context->onopen = open_quietly;
    context->onmessage = echo_quietly;
    context->onclose = close_quietly;
    context->onrequest = request_quietly;
    context->onlog = [](libwebsock_context *, int, const char *) {};
    context->onpong = nullptr;
    context->control_callback = nullptr;
}

struct Unblock {
    ~Unblock()
    {
        blocked = 0;
        blocked.notify_all();
    }
};

// Reads until the text to_all, which is the last of an answer; pings and pongs aside.
void receive_answer(Client &client, const std::string &to_be_there)
{
    std::string all;
    std::string last;
    while (last != "to all") {
        const Frame frame = client.receive_frame();
        if (frame.opcode == WS_OPCODE_CLOSE)
            fail("closed");
        last = (frame.opcode & 0x8) == 0 ? frame.payload : "";
        all += last;
    }
    if (all.find(to_be_there.substr(0, to_be_there.size() / 2)) == std::string::npos)
        fail("another answer");
}

// Which allocations of a life fail: none, or the nth of all, or of those behind the TLS
// handshake.
struct Misfortune {
    size_t nth = 0;
    bool behind_tls = false;
};

// Everything a connection is there for. Throws when it ends before. Allocations
// may fail as long as failing lives.
void live(int port, const Misfortune &misfortune, std::optional<FailingAllocations> &failing)
{
    if (misfortune.nth != 0 && !misfortune.behind_tls)
        failing.emplace(misfortune.nth, Failing::one);
    Client client(port);
    if (misfortune.nth != 0 && misfortune.behind_tls)
        failing.emplace(misfortune.nth, Failing::one);
    client.handshake("/a/path?and=a+query",
                     kProtocol +
                         "X-Twice: once\r\nX-Twice: and again, which is joined to the first\r\n");
    client.send_text("hello");
    receive_answer(client, "hello");
    client.send_frame(false, WS_OPCODE_BINARY, std::string(3000, 'a'));
    client.send_frame(true, WS_OPCODE_PING, "anybody there?");
    client.send_frame(true, WS_OPCODE_CONTINUE, std::string(3000, 'b'));
    receive_answer(client, std::string(3000, 'a') + std::string(3000, 'b'));
    const std::string large(300000, 'x');
    client.send_binary(large);
    receive_answer(client, large);
    client.send_close(WS_CLOSE_NORMAL, "that was it");
    while (client.receive_frame().opcode != WS_OPCODE_CLOSE) {
    }
    client.expect_eof();
}

void live_well(int port)
{
    std::optional<FailingAllocations> none;
    live(port, {}, none);
}

// Every connection that was accepted has been refused, or has had its onclose, but for the
// one that is blocked.
bool all_is_over(const Server &server)
{
    const libwebsock_statistics stats = server.stats();
    unsigned long long ended = stats.connections_refused;
    for (const unsigned long long of_code : stats.closed)
        ended += of_code;
    return ended + blocked == stats.connections_accepted && stats.connections_open == blocked &&
           opened == closed + blocked;
}

// Lives once with that misfortune, and once without. False: there is no nth allocation.
bool survives(Server &server, const Misfortune &misfortune, size_t &lost)
{
    std::optional<FailingAllocations> failing;
    try {
        live(server.port(), misfortune, failing);
    } catch (const std::exception &error) {
        const std::string_view what = error.what();
        REQUIRE(what.find("deadline") == std::string_view::npos); // it ended, but did not hang
        ++lost;
    }
    REQUIRE(eventually([&] { return all_is_over(server); }));
    const bool has_failed = !failing || failing->have_begun();
    failing.reset();
    if (has_failed)
        live_well(server.port());
    return has_failed;
}

} // namespace

TEST_CASE("each allocation of a connection's life may fail")
{
    opened = closed = 0;
    Server server({.settings = allocate_nothing});
    live_well(server.port());
    // Of the TLS handshake's, which are a thousand and OpenSSL's, some will do.
    const size_t step = over_tls() ? scaled(20, 3) : 1;
    size_t lost = 0;
    size_t nth = 1;
    for (; survives(server, {.nth = nth}, lost); nth += step)
        CAPTURE(nth);
    CHECK(nth > 20); // or none has failed
    size_t nth_behind = 1;
    if (over_tls())
        for (; survives(server, {.nth = nth_behind, .behind_tls = true}, lost); nth_behind++)
            CAPTURE(nth_behind);
    CHECK(lost > 10); // or nothing came of it
    CHECK(eventually([&] { return all_is_over(server); }));
}

// What a worker needs once, it needs here: another one is busy.
TEST_CASE("each allocation may fail of a connection that is a worker's first")
{
    const size_t step = over_tls() ? scaled(20, 3) : 1;
    bool has_failed = true;
    size_t lost = 0;
    for (size_t nth = 1; has_failed; nth += step) {
        CAPTURE(nth);
        opened = closed = 0;
        Server server({.settings = allocate_nothing});
        Client client(server.port());
        client.handshake("/", kProtocol);
        client.send_text("block");
        const Unblock at_end;
        REQUIRE(eventually([] { return blocked == 1; }));
        has_failed = survives(server, {.nth = nth}, lost);
    }
    CHECK(lost > 10); // or nothing came of it
}

TEST_CASE("each allocation of a server's start and stop may fail")
{
    bool have_begun = true;
    for (size_t nth = 1; have_begun; nth++) {
        CAPTURE(nth);
        Server server({.settings = allocate_nothing, .start = false});
        libwebsock_stop(server.context()); // so that it ends as soon as it has begun
        const FailingAllocations failing(nth, Failing::one);
        server.start();
        const int error = server.join();
        CHECK((error == 0 || error == ENOMEM || error == EAGAIN));
        have_begun = failing.have_begun();
        CHECK((have_begun || error == 0));
    }
}
