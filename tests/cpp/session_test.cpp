// session_test.cpp: the blocking style: a session is a range of messages, or is asked for them one
// by one.
#include "running.h"

#include <doctest/doctest.h>

#include <chrono>
#include <ranges>
#include <stdexcept>
#include <stop_token>

using namespace std::chrono_literals;
using namespace test;

static_assert(std::ranges::input_range<websock::Session>);
static_assert(std::ranges::input_range<websock::Session::Messages>);

TEST_CASE("a session is a range of its messages, which ends with the connection")
{
    websock::Server server;
    Told<int> code;
    server.on_session([&](websock::Session session) {
        for (const auto &message : session)
            session.send(message);
        code.tell(session.close_info().code());
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("one");
    CHECK(client.receive_text() == "one");
    client.send_binary("two");
    CHECK(client.receive_frame().opcode == WS_OPCODE_BINARY);
    close_and_wait(client, 4000);
    CHECK(code.get() == 4000);
}

TEST_CASE("a session that returns closes with 1000")
{
    websock::Server server;
    server.on_session([](websock::Session &session) { session.send("bye"); });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "bye");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("a receive says that a message has come, that none has, or that the connection has ended")
{
    websock::Server server;
    Told<bool> ended;
    server.on_session([&](const websock::Session &session) {
        const auto none = session.receive(0ms);
        session.send(none ? "message" : none.timed_out() ? "nothing yet" : "ended");
        const auto message = session.receive(1min);
        session.send(message ? message->text() : "nothing");
        ended.tell(session.receive().has_ended());
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "nothing yet");
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
    close_and_wait(client);
    CHECK(ended.get());
}

TEST_CASE("a session is woken from another thread")
{
    websock::Server server;
    Told<websock::Client> begun;
    server.on_session([&](const websock::Session &session) {
        begun.tell(session);
        session.send(session.receive().was_woken() ? "woken" : "not woken");
    });
    Running running(server);
    Client client = running.connect();
    begun.get().wake();
    CHECK(client.receive_text() == "woken");
}

TEST_CASE("a request to stop ends the range of messages, and nothing else")
{
    websock::Server server;
    std::stop_source stop;
    Told<bool> begun;
    server.on_session([&](const websock::Session &session) {
        for (const auto &message : session.messages(stop.get_token())) {
            session.send(message);
            begun.tell(true);
        }
        session.send("stopped");
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_text() == "x");
    CHECK(begun.get());
    stop.request_stop();
    CHECK(client.receive_text() == "stopped");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("a range whose stop was requested before has no messages")
{
    websock::Server server;
    std::stop_source stop;
    stop.request_stop();
    server.on_session([&](const websock::Session &session) {
        for (const auto &message : session.messages(stop.get_token()))
            session.send(message);
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("a wake does not end a range")
{
    websock::Server server;
    Told<websock::Client> begun;
    server.on_session([&](const websock::Session &session) {
        begun.tell(session);
        for (const auto &message : session)
            session.send(message);
    });
    Running running(server);
    Client client = running.connect();
    begun.get().wake();
    client.send_text("x");
    CHECK(client.receive_text() == "x");
}

TEST_CASE("a session receives a message in parts")
{
    websock::Server server;
    server.on_session([](const websock::Session &session) {
        size_t sum = 0;
        while (const auto part = session.receive_part()) {
            sum += part->size();
            if (part->is_last())
                session.send(std::to_string(sum));
        }
    });
    Running running(server);
    Client client = running.connect();
    client.send_binary(std::string(300'000, 'x'));
    CHECK(client.receive_text() == "300000");
}

TEST_CASE("to receive in another callback is an error")
{
    websock::Server server;
    Told<int> code;
    server.on_open([&](const websock::Client &client) {
        const websock::Session session(client.handle());
        code.tell(thrown_by([&] { (void)session.receive(0ms); }));
    });
    Running running(server);
    Client client = running.connect();
    CHECK(code.get() == EDEADLK);
}

TEST_CASE("an exception out of a session is logged and closes with 1011")
{
    websock::Server server;
    Lines log(server);
    server.on_session([](const websock::Session &) { throw std::runtime_error("no more"); });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(log.has("on_session threw an exception: no more"));
}
