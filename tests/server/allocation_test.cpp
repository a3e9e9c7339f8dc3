// allocation_test.cpp: fails every allocation in a connection's life, one per run, as sqlite's
// tests do. The connection may end over it, but it must end cleanly and nothing else may go
// wrong. Memory that stays short is in exhaustion_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <exception>
#include <optional>

using namespace test;

namespace {

// Callbacks that, like the fixture's, allocate nothing themselves: only the library does. When
// that fails they close their client.
std::atomic<unsigned long long> opened;
std::atomic<unsigned long long> closed;
std::atomic<unsigned long long> blocked; // in onmessage, for a message that says "block"

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

// Without memory for what arrives the connection ends, and a receive does not fail.
std::atomic<size_t> failed_receives;

int session_quietly(libwebsock_client_state *client)
{
    libwebsock_message msg;
    int result;
    while ((result = libwebsock_receive(client, &msg, -1)) == 1)
        (void)echo_quietly(client, &msg);
    failed_receives += result != 0;
    return 0;
}

// Binary messages leave as they come, in fragments. Text is short, and comes as one part.
int part_quietly(libwebsock_client_state *client, libwebsock_part *part)
{
    const unsigned opcode = part->offset == 0 ? part->opcode : unsigned{WS_OPCODE_CONTINUE};
    int error =
        libwebsock_send_fragment(client, part->payload, part->len,
                                 static_cast<int>(opcode) | (part->fin ? WS_FRAGMENT_FIN : 0));
    if (part->fin)
        error |= libwebsock_send_all_text(client->ctx, "to all");
    if (error != 0)
        libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "out of memory");
    return 0;
}

int session_in_parts_quietly(libwebsock_client_state *client)
{
    libwebsock_part part;
    int result;
    while ((result = libwebsock_receive_part(client, &part, -1)) == 1)
        (void)part_quietly(client, &part);
    failed_receives += result != 0;
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

// Reads an answer up to its last text, "to all", skipping pings and pongs.
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

// Which allocation of a life fails: none, the nth of all, or the nth after the TLS handshake.
struct Misfortune {
    size_t nth = 0;
    bool behind_tls = false;
};

// Uses everything a connection offers. Throws if the connection ends early. Allocations may
// fail as long as failing exists.
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

// Every accepted connection was refused or has had its onclose, except the blocked one.
bool all_is_over(const Server &server)
{
    const libwebsock_statistics stats = server.stats();
    unsigned long long ended = stats.connections_refused;
    for (const unsigned long long of_code : stats.closed)
        ended += of_code;
    return ended + blocked == stats.connections_accepted && stats.connections_open == blocked &&
           opened == closed + blocked;
}

// Lives once with the misfortune, then once without. False if there is no nth allocation.
bool survives(Server &server, const Misfortune &misfortune, size_t &lost)
{
    std::optional<FailingAllocations> failing;
    try {
        live(server.port(), misfortune, failing);
    } catch (const std::exception &error) {
        const std::string_view what = error.what();
        REQUIRE(what.find("deadline") == std::string_view::npos); // it may end, but not hang
        ++lost;
    }
    REQUIRE(eventually([&] { return all_is_over(server); }));
    const bool has_failed = !failing || failing->have_begun();
    failing.reset();
    if (has_failed)
        live_well(server.port());
    return has_failed;
}

// How the server gets messages, if not by onmessage.
struct Style {
    int (*onsession)(libwebsock_client_state *) = nullptr;
    int (*onpart)(libwebsock_client_state *, libwebsock_part *) = nullptr;
};

void check_each(const Style &style)
{
    opened = closed = failed_receives = 0;
    Server server({.settings = [&](libwebsock_context *context) {
        allocate_nothing(context);
        context->onsession = style.onsession;
        context->onpart = style.onpart;
    }});
    live_well(server.port());
    // OpenSSL makes about a thousand during a TLS handshake: a sample of them is enough.
    const bool is_first = !style.onsession && !style.onpart; // that handshake is always the same
    const size_t step = over_tls() ? (is_first ? scaled(20, 3) : 200) : 1;
    size_t lost = 0;
    size_t nth = 1;
    for (; survives(server, {.nth = nth}, lost); nth += step)
        CAPTURE(nth);
    CHECK(nth > 20); // otherwise none has failed
    size_t nth_behind = 1;
    if (over_tls())
        for (; survives(server, {.nth = nth_behind, .behind_tls = true}, lost); nth_behind++)
            CAPTURE(nth_behind);
    CHECK(lost > 10); // otherwise failures had no effect
    CHECK(eventually([&] { return all_is_over(server); }));
    CHECK(failed_receives == 0);
}

} // namespace

TEST_CASE("each allocation of a connection's life may fail") { check_each({}); }

TEST_CASE("each allocation of the life of a session may fail")
{
    check_each({.onsession = session_quietly});
}

TEST_CASE("each allocation of the life of a session that receives parts may fail")
{
    check_each({.onsession = session_in_parts_quietly});
}

TEST_CASE("each allocation of the life of a client that onpart serves may fail")
{
    check_each({.onpart = part_quietly});
}

// The first worker is busy, so a second one starts and makes its own first allocations here.
TEST_CASE("each allocation of a connection that starts a new worker may fail")
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
    CHECK(lost > 10); // otherwise failures had no effect
}

TEST_CASE("each allocation of a server's start and stop may fail")
{
    bool have_begun = true;
    for (size_t nth = 1; have_begun; nth++) {
        CAPTURE(nth);
        Server server({.settings = allocate_nothing, .start = false});
        libwebsock_stop(server.context()); // so it ends as soon as it starts
        const FailingAllocations failing(nth, Failing::one);
        server.start();
        const int error = server.join();
        CHECK((error == 0 || error == ENOMEM || error == EAGAIN));
        have_begun = failing.have_begun();
        CHECK((have_begun || error == 0));
    }
}
