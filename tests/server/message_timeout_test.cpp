// message_timeout_test.cpp: message_timeout_ms, the time a message may take to arrive.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using namespace test;

namespace {

// Where a test needs a quick server, it measures how long the server took. If that was too
// long, the machine is busy, and the test starts again with twice the time.

// Sends messages and pings for that long, then a Close. Each frame begins as the one before it
// ends, so the server always has part of a frame. Returns how long the slowest frame took.
// Ends early if the server closes.
std::chrono::nanoseconds talk_without_pause(Client &client, std::chrono::nanoseconds duration)
{
    const std::string ping = encode_frame(true, WS_OPCODE_PING, "p");
    const std::string text = encode_frame(true, WS_OPCODE_TEXT, "t");
    const std::string head = ping.substr(0, 3);
    const std::string rest = ping.substr(3);
    std::chrono::nanoseconds slowest{0};
    bool closed = false;
    Clock::time_point begun = Clock::now();
    const Clock::time_point end = begun + duration;
    client.send_raw(head);
    for (size_t i = 0; Clock::now() < end && !closed; i++) {
        const size_t answers = 1 + i % 2;
        client.send_raw(rest + (answers == 2 ? text : "") + head);
        const Clock::time_point sent = Clock::now();
        for (size_t n = 0; n < answers && !closed; n++)
            closed = client.receive_frame().opcode == WS_OPCODE_CLOSE;
        slowest = std::max(slowest, Clock::now() - std::exchange(begun, sent));
    }
    if (!closed) {
        client.send_raw(rest);
        client.send_close(WS_CLOSE_NORMAL);
    }
    client.drain();
    return std::max(slowest, Clock::now() - begun);
}

} // namespace

TEST_CASE("a message that takes too long is 1008, whatever its client sends meanwhile")
{
    for (const bool in_frame : {true, false}) {
        CAPTURE(in_frame);
        Server server({.settings = [](auto *context) { context->message_timeout_ms = 150; },
                       .onmessage = echo});
        Client client = Client::open(server.port());
        // In one frame, more than is sent before the time is over, even if the server is held up.
        const std::string payload(in_frame ? 10'000'000 : 100'000, 'x');
        const std::string frame = encode_frame(in_frame, WS_OPCODE_BINARY, payload);
        client.send_raw(in_frame ? frame.substr(0, 4) : frame);
        const Clock::time_point deadline = Clock::now() + kDeadline;
        for (size_t i = 4; !client.has_input() && Clock::now() < deadline; i++) {
            if (in_frame)
                client.send_raw(frame.substr(i, 1));
            else
                client.send_frame(false, WS_OPCODE_CONTINUE, "x");
        }
        CHECK(client.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
        CHECK(server.events().wait(Kind::close).text == "1008: message took too long");
        CHECK(server.events().count(Kind::message) == 0);
    }
}

TEST_CASE("a message that is never continued is given up when its time is over")
{
    Server server({.settings = [](auto *context) {
        context->message_timeout_ms = 50;
        context->idle_timeout_ms = 0;
    }});
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, "begun");
    CHECK(client.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
}

TEST_CASE("time in which the server does not read does not count against a message")
{
    bool in_time = false;
    for (std::chrono::milliseconds timeout{150}; !in_time; timeout *= 2) {
        REQUIRE(timeout < kDeadline);
        Server server({.settings =
                           [&](auto *context) {
                               context->message_timeout_ms = static_cast<int>(timeout.count());
                               context->max_queued_bytes = 1;
                           },
                       .onmessage =
                           [](Scene &scene, auto *, auto *message) {
                               if (message->payload_len == 5)
                                   scene.gate.wait();
                           }});
        Client client = Client::open(server.port());
        client.send_text("block");
        server.events().wait(Kind::message);
        const std::string first = encode_frame(false, WS_OPCODE_TEXT, "begun");
        const uint64_t read = server.stats().bytes_in;
        const Clock::time_point begun = Clock::now();
        client.send_raw(first);
        CHECK(eventually([&] { return server.stats().bytes_in == read + first.size(); }));
        // After the pong there is no room for the ping's event, so the server stops reading.
        client.send_frame(true, WS_OPCODE_PING, "");
        in_time = client.receive_frame().opcode == WS_OPCODE_PONG;
        const Clock::duration before = Clock::now() - begun;
        if (!in_time)
            continue;
        client.send_frame(true, WS_OPCODE_CONTINUE, " and ended");
        for (int i = 0; i < 2; i++) { // twice the timeout
            Client late = Client::open(server.port());
            late.send_frame(false, WS_OPCODE_TEXT, "begun");
            CHECK(late.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
        }
        const Clock::time_point opened = Clock::now();
        server.gate().open();
        client.send_close(WS_CLOSE_NORMAL);
        const unsigned code = client.receive_close().code;
        in_time = before + (Clock::now() - opened) < timeout;
        CHECK((code == WS_CLOSE_NORMAL || !in_time));
        if (code == WS_CLOSE_NORMAL)
            CHECK(server.events().wait(Kind::message, 2).text == "begun and ended");
    }
}

TEST_CASE("each message has its own time: neither the previous one's nor a ping's counts")
{
    bool in_time = false;
    for (std::chrono::milliseconds timeout{300}; !in_time; timeout *= 2) {
        REQUIRE(timeout < kDeadline);
        Server server({.settings =
                           [&](auto *context) {
                               context->message_timeout_ms = static_cast<int>(timeout.count());
                           },
                       .onmessage = echo});
        Client client = Client::open(server.port());
        const std::chrono::nanoseconds slowest =
            talk_without_pause(client, 2 * timeout + timeout / 3);
        const unsigned code = server.events().wait(Kind::close).code;
        in_time = slowest < timeout;
        CHECK((code == WS_CLOSE_NORMAL || !in_time));
    }
}
