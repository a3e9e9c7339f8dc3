// session_promises_test.cpp: what a session may rely on: while callbacks run beside it, once it has
// closed, and when the server stops and it does not return.
#include "tests/server/session.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>

using namespace test;

namespace {

// Does it every few milliseconds until it is done. False: that is not in time.
template<class Action> bool repeat_until(const std::atomic<bool> &done, const Action &action)
{
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(5);
    while (!done && Clock::now() < deadline) {
        action();
        std::this_thread::sleep_for(std::chrono::milliseconds(3)); // the pace
    }
    return done;
}

} // namespace

TEST_CASE("a pong leaves before the answer to what comes behind the ping, whatever a callback does")
{
    std::atomic<size_t> begun = 0;
    Server server({.oncontrol =
                       [&](Scene &, auto *, auto *) {
                           ++begun;
                           std::this_thread::sleep_for(std::chrono::milliseconds(2)); // its work
                       },
                   .onsession = echo_until_closed});
    Client client = Client::open(server.port());
    for (size_t round = 0; round < 20; ++round) {
        client.send_frame(true, WS_OPCODE_PING, "first");
        CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
        CHECK(eventually([&] { return begun == 2 * round + 1; }));
        client.send_raw(encode_frame(true, WS_OPCODE_PING, "second") +
                        encode_frame(true, WS_OPCODE_TEXT, "text"));
        CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
        CHECK(client.receive_frame().opcode == WS_OPCODE_TEXT);
        CHECK(eventually([&] { return begun == 2 * round + 2; }));
    }
}

TEST_CASE("a session that has closed gets nothing more of a compressed message")
{
    Server server({.settings = [](libwebsock_context *context) { context->compression = 1; },
                   .onsession =
                       [](Scene &scene, libwebsock_client_state *client) {
                           libwebsock_part part{};
                           CHECK(libwebsock_receive_part(client, &part, -1) == 1);
                           CHECK(libwebsock_close(client) == 0);
                           CHECK(libwebsock_receive_part(client, &part, -1) == 0);
                           scene.gate.open();
                       }});
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    client.send_compressed(WS_OPCODE_BINARY, std::string(1'000'000, 'x'));
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.send_close(WS_CLOSE_NORMAL);
    CHECK(server.gate().wait());
}

TEST_CASE("a receive keeps its time-out while control_callback is behind with what has come")
{
    Gate gate;
    std::atomic<bool> has_begun = false;
    std::atomic<size_t> timed_out = 0;
    Server server(
        {.settings = [](libwebsock_context *context) { context->max_queued_bytes = 4096; },
         .oncontrol =
             [&](Scene &, auto *, auto *) {
                 has_begun = true;
                 gate.wait();
             },
         .onsession =
             [&](Scene &, libwebsock_client_state *client) {
                 while (received(client, 50) == error(ETIMEDOUT))
                     timed_out += has_begun;
             }});
    Client client = Client::open(server.port());
    std::string pings;
    for (size_t i = 0; i < 2000; ++i)
        pings += encode_frame(true, WS_OPCODE_PING, std::string(100, '.'));
    client.send_raw(pings);
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(2);
    while (timed_out < 10 && Clock::now() < deadline)
        std::this_thread::yield();
    CHECK(timed_out >= 10);
    gate.open();
    client.reset();
}

TEST_CASE("a wake is noticed although the client sends Pings all the time")
{
    std::atomic<bool> noticed{false};
    Server server(
        {.keep_handles = true, .onsession = [&](Scene &, libwebsock_client_state *client) {
             libwebsock_send_text(client, "begun");
             CHECK(received(client) == error(EINTR));
             noticed = true;
         }});
    Client client = Client::open(server.port());
    CHECK(client.receive_text() == "begun");
    size_t pings = 0;
    CHECK(repeat_until(noticed, [&] {
        client.send_frame(true, WS_OPCODE_PING, "");
        if (++pings == 20)
            CHECK(libwebsock_wake(server.handle()) == 0);
    }));
}

TEST_CASE("a receive keeps its time-out although fragments without a byte come all the time")
{
    std::atomic<bool> timed_out{false};
    Server server({.onsession = [&](Scene &, libwebsock_client_state *client) {
        CHECK(received(client, 50) == error(ETIMEDOUT));
        timed_out = true;
    }});
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, "begun");
    CHECK(repeat_until(timed_out, [&] { client.send_frame(false, WS_OPCODE_CONTINUE, ""); }));
}

TEST_CASE("a silent client is dropped although its session is woken all the time")
{
    std::atomic<bool> dropped{false};
    Server server({.settings = [](libwebsock_context *context) { context->idle_timeout_ms = 300; },
                   .keep_handles = true,
                   .onsession =
                       [&](Scene &, libwebsock_client_state *client) {
                           std::string result;
                           do {
                               result = received(client);
                           } while (result == error(EINTR));
                           CHECK(result == "closed");
                           dropped = true;
                       }});
    Client client = Client::open(server.port()); // it answers no Ping
    CHECK(repeat_until(dropped, [&] { (void)libwebsock_wake(server.handle()); }));
}

TEST_CASE("once receive has returned 0, no send succeeds")
{
    Server server({.onsession = [](Scene &scene, libwebsock_client_state *client) {
        CHECK(received(client) == "closed");
        CHECK(error_of(libwebsock_send_text(client, "too late")) == ENOTCONN);
        scene.gate.open();
    }});
    Client client = Client::open(server.port());
    SUBCASE("the client has shut down its side only") { client.half_close(); }
    SUBCASE("it has gone") { client.reset(); }
    CHECK(server.gate().wait());
}

TEST_CASE("once a send has ended the connection, receive returns 0 at once, whatever has come")
{
    const std::string much(8'000'000, 'm'); // more than the system takes
    Server server({.settings = [](libwebsock_context *context) { context->send_timeout_ms = 100; },
                   .onsession =
                       [&](Scene &scene, libwebsock_client_state *client) {
                           CHECK(received(client) == "first");
                           while (libwebsock_send_text(client, much.c_str()) == 0) {
                           }
                           CHECK(errno == ETIMEDOUT);
                           CHECK(received(client, 0) == "closed");
                           CHECK(client->close_info->code == WS_CLOSE_DIRTY);
                           scene.gate.open();
                       }});
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "first") +
                    encode_frame(true, WS_OPCODE_TEXT, "second"));
    CHECK(server.gate().wait());
}

TEST_CASE("a session that does not return is named in the log when the server stops")
{
    std::atomic<bool> has_begun = false;
    Server server({.settings = [](libwebsock_context *context) { context->drain_timeout_ms = 200; },
                   .onsession =
                       [&](Scene &scene, libwebsock_client_state *) {
                           has_begun = true;
                           scene.gate.wait();
                       }});
    Client client = Client::open(server.port());
    CHECK(eventually([&] { return has_begun.load(); }));
    CHECK(server.stop_and_join() == ETIMEDOUT);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR,
                           {"still running", client.address(), "in onsession"}));
    server.gate().open();
    (void)server.events().wait(Kind::close);
}
