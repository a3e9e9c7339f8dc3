// parts_test.cpp: messages in parts, by onpart: what comes, in which order, what limits hold, and
// what is kept in memory. Sessions that receive parts are in session_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;

namespace {

// What has come of each message, put together again.
class Gathered
{
  public:
    void add(const libwebsock_part *part)
    {
        const std::lock_guard lock(mutex_);
        if (part->offset == 0)
            current_.clear();
        if (part->offset != current_.size() || (part->len == 0 && !part->fin))
            wrong_ = true;
        current_.append(part->payload, part->len);
        longest_ = std::max(longest_, part->len);
        ++parts_;
        if (part->fin) {
            opcodes_.push_back(part->opcode);
            messages_.push_back(std::move(current_));
            current_ = {};
        }
    }
    size_t count()
    {
        const std::lock_guard lock(mutex_);
        return messages_.size();
    }
    std::string message(size_t i)
    {
        CHECK(eventually([&] { return count() > i; }));
        const std::lock_guard lock(mutex_);
        return messages_.at(i);
    }
    unsigned opcode(size_t i)
    {
        const std::lock_guard lock(mutex_);
        return opcodes_.at(i);
    }
    size_t parts()
    {
        const std::lock_guard lock(mutex_);
        return parts_;
    }
    size_t longest()
    {
        const std::lock_guard lock(mutex_);
        return longest_;
    }
    size_t unfinished()
    {
        const std::lock_guard lock(mutex_);
        return current_.size();
    }
    bool wrong()
    {
        const std::lock_guard lock(mutex_);
        return wrong_;
    }

  private:
    std::mutex mutex_;
    std::string current_;
    std::vector<std::string> messages_;
    std::vector<unsigned> opcodes_;
    size_t parts_ = 0;
    size_t longest_ = 0;
    bool wrong_ = false;
};

std::string long_text(size_t bytes)
{
    std::string text;
    for (unsigned i = 0; text.size() < bytes; ++i)
        text += std::to_string(i * 2654435761U) + " € ";
    text.resize(bytes - bytes % 8);
    while (!text.empty() && static_cast<unsigned char>(text.back()) >= 0x80)
        text.back() = '.';
    return text;
}

Behaviour gather_into(Gathered &gathered)
{
    return {.settings =
                [](libwebsock_context *context) {
                    context->max_frame_payload = 1000;
                    context->max_message_payload = 1000;
                    context->compression = 1;
                },
            .onpart = [&](Scene &, auto *, libwebsock_part *part) { gathered.add(part); }};
}

// Sends a message in fragments for that long, each when the one before it has come. Returns how
// long the slowest took, from when the one before it was sent. Ends early if the server closes.
Clock::duration send_slowly(Client &client, Gathered &gathered, Clock::duration duration)
{
    constexpr std::chrono::milliseconds kPace{20};
    Clock::duration slowest{0};
    Clock::time_point previous = Clock::now();
    const Clock::time_point end = previous + duration;
    bool fin = false;
    for (size_t count = 1; !fin && !client.has_input(); ++count) {
        std::this_thread::sleep_for(kPace);
        const Clock::time_point sent = Clock::now();
        fin = sent > end;
        client.send_frame(fin, count == 1 ? WS_OPCODE_TEXT : WS_OPCODE_CONTINUE, "x");
        CHECK(eventually([&] { return gathered.parts() == count || client.has_input(); }));
        slowest = std::max(slowest, Clock::now() - std::exchange(previous, sent));
    }
    return std::max(slowest, Clock::now() - previous);
}

} // namespace

TEST_CASE("a message comes in parts that follow each other, whatever its length")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client = Client::open(server.port());
    const std::vector<std::string> texts{"", "short", long_text(100'000), long_text(3'000'000)};
    for (size_t i = 0; i < texts.size(); ++i) {
        client.send_frame(true, i % 2 ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, texts[i]);
        CHECK((gathered.message(i) == texts[i]));
        CHECK(gathered.opcode(i) == (i % 2 ? WS_OPCODE_BINARY : WS_OPCODE_TEXT));
    }
    CHECK(!gathered.wrong());
    CHECK(gathered.parts() > texts.size());
    CHECK(server.events().count(Kind::message) == 0);
}

TEST_CASE("the fragments of a message are parts of it, with pings between them")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, "caf\xc3"); // the character goes on in the next one
    client.send_frame(true, WS_OPCODE_PING, "are you there");
    CHECK(client.receive_frame().payload == "are you there");
    client.send_frame(false, WS_OPCODE_CONTINUE, "\xa9");
    client.send_frame(false, WS_OPCODE_CONTINUE, "");
    client.send_frame(true, WS_OPCODE_CONTINUE, "");
    CHECK(gathered.message(0) == "caf\xc3\xa9");
    CHECK(!gathered.wrong());
}

TEST_CASE("parts that wait stay as they are, whatever empty fragments come behind them")
{
    Gate gate;
    Gathered gathered;
    Server server({.onpart = [&](Scene &, auto *, libwebsock_part *part) {
        gate.wait();
        gathered.add(part);
    }});
    Client client = Client::open(server.port());
    const std::string empty = encode_frame(false, WS_OPCODE_CONTINUE, "");
    std::string all;
    unsigned opcode = WS_OPCODE_BINARY;
    for (char c = 'a'; c < 'k'; ++c) {
        const std::string payload(1000, c);
        const unsigned long long before = server.stats().bytes_in;
        const std::string sent = encode_frame(false, opcode, payload) + empty;
        client.send_raw(sent);
        CHECK(eventually([&] { return server.stats().bytes_in == before + sent.size(); }));
        all += payload;
        opcode = WS_OPCODE_CONTINUE;
    }
    client.send_frame(true, WS_OPCODE_CONTINUE, "");
    gate.open();
    CHECK(gathered.message(0) == all);
    CHECK(!gathered.wrong());
}

TEST_CASE("a part comes before the rest of its frame has been sent")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client = Client::open(server.port());
    const std::string frame = encode_frame(true, WS_OPCODE_TEXT, std::string(100'000, 'a'));
    client.send_raw(frame.substr(0, 50'000));
    CHECK(eventually([&] { return gathered.unfinished() > 40'000; }));
    client.send_raw(frame.substr(50'000));
    CHECK((gathered.message(0) == std::string(100'000, 'a')));
}

TEST_CASE("compressed messages come in parts, too")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    for (size_t i = 0; i < 3; ++i) {
        const std::string text = long_text(i * 400'000);
        client.send_compressed(WS_OPCODE_TEXT, text);
        CHECK((gathered.message(i) == text));
    }
    client.send_compressed(WS_OPCODE_BINARY, std::string(5'000'000, 'b'));
    CHECK((gathered.message(3) == std::string(5'000'000, 'b')));
    CHECK(gathered.longest() < 100'000);
    CHECK(!gathered.wrong());
}

TEST_CASE("text that is not UTF-8 fails at the offending byte, after the parts before it")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, "good");
    CHECK(eventually([&] { return gathered.unfinished() == 4; }));
    client.send_frame(false, WS_OPCODE_CONTINUE, "\xff");
    CHECK(client.receive_close().code == 1007);
    Client second = Client::open(server.port());
    second.send_frame(true, WS_OPCODE_TEXT, "caf\xc3");
    CHECK(second.receive_close().code == 1007);
    CHECK(gathered.count() == 0);
}

TEST_CASE("a message that is cut off is told by onclose alone")
{
    Gathered gathered;
    Server server(gather_into(gathered));
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_BINARY, std::string(10'000, 'x')).substr(0, 5000));
    CHECK(eventually([&] { return gathered.unfinished() > 0; }));
    client.reset();
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_DIRTY);
    CHECK(gathered.count() == 0);
}

TEST_CASE("onpart can be chosen for a client, in onrequest or in onopen")
{
    static std::atomic<int> parts;
    parts = 0;
    static const auto onpart = [](libwebsock_client_state *client, libwebsock_part *part) {
        parts += part->fin;
        return libwebsock_send_text(client, "part");
    };
    Server server(
        {.onopen =
             [](Scene &, libwebsock_client_state *client) {
                 const std::string path = libwebsock_client_request(client)->path;
                 if (path == "/open")
                     client->onpart = onpart;
                 else if (path == "/neither")
                     client->onpart = nullptr;
             },
         .onmessage = [](Scene &, auto *client,
                         auto *) { libwebsock_send_text(client, "message"); },
         .onrequest =
             [](Scene &, libwebsock_client_state *client, const libwebsock_request *request) {
                 if (std::string(request->path) != "/open")
                     client->onpart = onpart;
                 return 0;
             }});
    for (const char *const path : {"/request", "/open", "/neither"}) {
        CAPTURE(path);
        Client client = Client::open(server.port(), path);
        for (int i = 0; i < 3; ++i) {
            client.send_text("hello");
            CHECK(client.receive_text() == (std::string(path) == "/neither" ? "message" : "part"));
        }
    }
    CHECK(parts == 6);
}

TEST_CASE("while onpart blocks, little of a long message is read, and pings of others are answered")
{
    Gate gate;
    Gathered gathered;
    Server server({.onpart = [&](Scene &, auto *, libwebsock_part *part) {
        gate.wait();
        gathered.add(part);
    }});
    Client client = Client::open(server.port());
    const size_t len = 64 << 20;
    const std::string frame = encode_frame(true, WS_OPCODE_BINARY, std::string(len, 'z'));
    std::thread sender([&] { client.send_raw(frame); });
    CHECK(eventually([&] { return server.stats().bytes_in > 500'000; }));
    Client other = Client::open(server.port());
    other.send_frame(true, WS_OPCODE_PING, "?");
    CHECK(other.receive_frame().payload == "?");
    CHECK(server.stats().bytes_in < 4 << 20);
    gate.open();
    CHECK(gathered.message(0).size() == len);
    sender.join();
    CHECK(gathered.longest() <= 256 * 1024);
}

TEST_CASE("a message may take as long as it makes progress")
{
    // A busy machine may hold up a fragment for too long. Then the test starts again with twice
    // the time.
    bool in_time = false;
    for (std::chrono::milliseconds timeout{300}; !in_time; timeout *= 2) {
        REQUIRE(timeout < kDeadline);
        Gathered gathered;
        Server server(
            {.settings =
                 [&](libwebsock_context *context) {
                     context->message_timeout_ms = static_cast<int>(timeout.count());
                 },
             .onpart = [&](Scene &, auto *, libwebsock_part *part) { gathered.add(part); }});
        Client client = Client::open(server.port());
        in_time = send_slowly(client, gathered, 2 * timeout + timeout / 3) < timeout / 2;
        const bool closed = client.has_input();
        CHECK((!closed || !in_time));
        if (!closed) {
            CHECK(gathered.message(0).size() == gathered.parts());
            client.send_frame(false, WS_OPCODE_TEXT, "a");
        }
        CHECK(client.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
    }
}

TEST_CASE("the log says how long frames were, not parts of them")
{
    Gathered gathered;
    Server server({.onpart = [&](Scene &, auto *, libwebsock_part *part) { gathered.add(part); }});
    Client client = Client::open(server.port());
    client.send_binary(std::string(1'000'000, 'b'));
    CHECK(gathered.message(0).size() == 1'000'000);
    client.send_raw("\xc1"); // a reserved bit
    CHECK(client.receive_close().code == WS_CLOSE_PROTOCOL_ERROR);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {"in: binary 1000000 B"}));
}
