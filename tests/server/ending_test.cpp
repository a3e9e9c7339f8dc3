// ending_test.cpp: connections that end without a Close frame because the peer vanishes, does
// not answer or falls silent. However a connection ends, onclose runs last, and once.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>

using namespace test;

namespace {

// Makes the client leave in one of several ways.
void leave(Client &client, int way)
{
    switch (way % 5) {
    case 0:
        client.send_close(WS_CLOSE_NORMAL);
        client.drain();
        return;
    case 1:
        client.reset();
        return;
    case 2:
        client.half_close();
        client.drain();
        return;
    case 3:
        client.send_frame(true, WS_OPCODE_TEXT, "unmasked", false);
        client.drain();
        return;
    default:
        return; // the destructor closes the socket
    }
}

} // namespace

TEST_CASE("a reset is reported as 1006, and named")
{
    Server server;
    Client client = Client::open(server.port());
    server.events().wait(Kind::open);
    client.reset();
    Event close = server.events().wait(Kind::close);
    CHECK(close.code == WS_CLOSE_DIRTY);
    CHECK(close.text == "Connection reset by peer");
}

TEST_CASE("an end without a Close is 1006, between frames and inside one")
{
    Server server;
    const std::string ends[] = {"", encode_frame(true, WS_OPCODE_TEXT, "whole"),
                                encode_frame(true, WS_OPCODE_TEXT, "not whole").substr(0, 9),
                                std::string("\x81", 1),
                                encode_frame(false, WS_OPCODE_TEXT, "to be continued")};
    size_t closed = 0;
    for (const std::string &bytes : ends) {
        Client client = Client::open(server.port());
        client.send_raw(bytes);
        client.half_close();
        client.drain();
        Event close = server.events().wait(Kind::close, ++closed);
        CHECK(close.code == WS_CLOSE_DIRTY);
        CHECK(close.text != "");
    }
    CHECK(server.events().count(Kind::message) == 1);
}

TEST_CASE("messages that came before the end are delivered before onclose")
{
    Server server;
    {
        Client client = Client::open(server.port());
        for (int i = 0; i < 100; i++)
            client.send_text(std::to_string(i));
    }
    server.events().wait(Kind::close);
    std::vector<Event> events = server.events().all();
    REQUIRE(events.size() == 102);
    CHECK(events.front().kind == Kind::open);
    CHECK(events[100].text == "99");
    CHECK(events.back().kind == Kind::close);
}

TEST_CASE("a peer that does not answer our Close is gone after close_timeout_ms")
{
    Server server({.settings = [](auto *context) { context->close_timeout_ms = 100; },
                   .onopen = [](Scene &, auto *client) { libwebsock_close(client); }});
    Client client = Client::open(server.port());
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.receive_end();
    Event close = server.events().wait(Kind::close);
    CHECK(close.code == WS_CLOSE_DIRTY);
    CHECK(close.text != "");
    CHECK(server.stop_and_join() == 0);
    CHECK(server.events().count(Kind::close) == 1);
}

TEST_CASE("with close_timeout_ms 0 our Close is still sent, after everything sent before it")
{
    Server server({.settings = [](auto *context) { context->close_timeout_ms = 0; },
                   .onmessage =
                       [](Scene &scene, auto *client, auto *message) {
                           echo(scene, client, message);
                           libwebsock_close(client);
                       }});
    for (int i = 0; i < 50; i++) {
        Client client = Client::open(server.port());
        client.send_text("last words");
        CHECK(client.receive_text() == "last words");
        CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
        client.receive_end();
    }
}

TEST_CASE("a peer that keeps sending instead of answering our Close is dropped as well")
{
    Server server({.settings = [](auto *context) { context->close_timeout_ms = 100; },
                   .onopen = [](Scene &, auto *client) { libwebsock_close(client); }});
    Client client = Client::open(server.port());
    client.receive_close();
    const std::string frame = encode_frame(true, WS_OPCODE_BINARY, std::string(1000, 'x'));
    std::string unsent;
    auto talk = [&] {
        try {
            unsent.erase(0, client.send_now(unsent.empty() ? unsent = frame : unsent));
        } catch (const std::exception &) {
            return true; // the socket is gone
        }
        return server.events().count(Kind::close) == 1;
    };
    for (Clock::time_point end = Clock::now() + kDeadline; !talk() && Clock::now() < end;) {
    }
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_DIRTY);
}

TEST_CASE(
    "a Close is answered while a callback blocks, and the callback's own close comes too late")
{
    std::atomic<int> error = 0;
    Server server({.onmessage = [&error](Scene &scene, auto *client, auto *) {
        scene.gate.wait();
        error = error_of(libwebsock_close(client));
    }});
    Client client = Client::open(server.port());
    client.send_text("block");
    server.events().wait(Kind::message);
    client.send_close(4000, "me first");
    CHECK(client.receive_close().code == 4000);
    CHECK(server.events().count(Kind::close) == 0);
    server.gate().open();
    client.expect_eof();
    CHECK(server.events().wait(Kind::close).code == 4000);
    CHECK(error == ENOTCONN);
}

TEST_CASE("messages before a Close or an error are answered first")
{
    struct {
        std::string bytes;
        unsigned code;
    } const ends[] = {{encode_frame(true, WS_OPCODE_CLOSE, close_payload(4000)), 4000},
                      {encode_frame(true, 0x3, ""), WS_CLOSE_PROTOCOL_ERROR}};
    for (const auto &end : ends) {
        CAPTURE(end.code);
        Server server({.onmessage = [](Scene &scene, auto *client, auto *message) {
            scene.gate.wait();
            echo(scene, client, message);
        }});
        Client client = Client::open(server.port());
        std::string texts;
        for (int i = 0; i < 100; i++)
            texts += encode_frame(true, WS_OPCODE_TEXT, std::to_string(i));
        client.send_raw(texts + end.bytes);
        server.events().wait(Kind::message);
        server.gate().open();
        for (int i = 0; i < 100; i++)
            REQUIRE(client.receive_text() == std::to_string(i));
        CHECK(client.receive_close().code == end.code);
        client.expect_eof();
    }
}

TEST_CASE("a Close is answered and the connection ends even when there is no room for its events")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 1; },
                   .onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    client.send_text("block");
    server.events().wait(Kind::message);
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "waits") +
                    encode_frame(true, WS_OPCODE_CLOSE, close_payload(4000)));
    CHECK(client.receive_close().code == 4000);
    client.expect_eof();
    CHECK(server.events().count(Kind::message) == 1);
    server.gate().open();
    CHECK(server.events().wait(Kind::close).code == 4000);
    CHECK(server.events().count(Kind::message) == 2);
}

TEST_CASE(
    "the client's answer to our Close counts even when there was no room for what came before")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 1; },
                   .onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("block");
    server.events().wait(Kind::message);
    for (int i = 0; i < 3; i++) // the connection's thread waits with the first of them
        client.send_text("waits");
    CHECK(eventually([&] { return server.stats().messages_in >= 2; }));
    CHECK(libwebsock_close_with_reason(server.handle(), 4001, "enough") == 0);
    CHECK(client.receive_close().code == 4001);
    client.send_close(4001, "all right");
    client.expect_eof();
    server.gate().open();
    const Event close = server.events().wait(Kind::close);
    CHECK(close.code == 4001);
    CHECK(close.text == "all right");
}

TEST_CASE("a silent client is pinged, and dropped when it does not answer")
{
    Server server({.settings = [](auto *context) { context->idle_timeout_ms = 200; }});
    Client client = Client::open(server.port());
    CHECK(client.receive_frame().opcode == WS_OPCODE_PING);
    client.drain();
    Event close = server.events().wait(Kind::close);
    CHECK(close.code == WS_CLOSE_DIRTY);
    CHECK(close.text != "");
    CHECK(server.log().has(kAnyLevel, {client.address()}));
}

TEST_CASE("a silent client that answers its pings is kept")
{
    Server server(
        {.settings = [](auto *context) { context->idle_timeout_ms = 1000; }, .onmessage = echo});
    Client client = Client::open(server.port());
    for (int i = 0; i < 3; i++) { // 1.5 times the timeout
        Frame ping = client.receive_frame();
        REQUIRE(ping.opcode == WS_OPCODE_PING);
        client.send_frame(true, WS_OPCODE_PONG, ping.payload);
    }
    client.send_text("I am still here");
    CHECK(client.receive_past_pings().payload == "I am still here");
    CHECK(server.events().count(Kind::close) == 0);
}

TEST_CASE("a client's descriptor belongs to no other client until onclose has returned")
{
    std::mutex mutex;
    std::map<int, int> open_descriptors;
    std::atomic<int> shared = 0;
    auto count = [&](libwebsock_client_state *client, int change) {
        std::lock_guard lock(mutex);
        int now = open_descriptors[client->sockfd] += change;
        if (now != 0 && now != 1)
            shared++;
    };
    Server server({.onopen = [&](Scene &, auto *client) { count(client, 1); },
                   .onclose = [&](Scene &, auto *client) { count(client, -1); }});
    for (int i = 0; i < 50; i++)
        Client::open(server.port());
    server.events().wait(Kind::close, 50);
    CHECK(shared == 0);
}

TEST_CASE("onopen runs first and onclose last and once, however two hundred clients end")
{
    Server server;
    auto churn = [&server](int first_way) {
        for (int i = 0; i < 50; i++) {
            Client client = Client::open(server.port());
            for (int message = 0; message < i % 4; message++)
                client.send_text("hello");
            leave(client, first_way + i);
        }
    };
    std::vector<std::future<void>> threads;
    for (int way = 0; way < 4; way++)
        threads.push_back(std::async(std::launch::async, churn, way));
    for (std::future<void> &thread : threads)
        thread.get();
    server.events().wait(Kind::close, 200);
    CHECK(server.stop_and_join() == 0);

    std::map<int, std::vector<Kind>> histories;
    for (const Event &event : server.events().all())
        histories[event.client].push_back(event.kind);
    CHECK(histories.size() == 200);
    size_t wrong = 0;
    for (const auto &[client, kinds] : histories) {
        size_t opens = static_cast<size_t>(std::count(kinds.begin(), kinds.end(), Kind::open));
        size_t closes = static_cast<size_t>(std::count(kinds.begin(), kinds.end(), Kind::close));
        wrong +=
            opens != 1 || closes != 1 || kinds.front() != Kind::open || kinds.back() != Kind::close;
    }
    CHECK(wrong == 0);
    CHECK(server.stats().connections_open == 0);
    CHECK(server.stats().connections_accepted == 200);
}
