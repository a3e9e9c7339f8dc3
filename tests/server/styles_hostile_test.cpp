// styles_hostile_test.cpp: what clients do wrong, or slowly, to sessions and to those that get
// messages in parts: messages without end, bytes that dribble, silence, a Close or RST in the
// middle. Bombs are in styles_bombs_test.cpp. The same for callbacks is in hostile_frames_test.cpp.
#include "tests/server/styles.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <vector>

using namespace test;

namespace {

// Sends next() every few milliseconds until the server says something, or for so long.
struct Dribble {
    bool is_cut_off = false;
    std::chrono::milliseconds longest_pause{0}; // that this busy machine has made of it
};

Dribble dribble(Client &client, std::chrono::milliseconds patience,
                const std::function<std::string()> &next)
{
    Dribble result;
    const Clock::time_point begin = Clock::now();
    for (Clock::time_point last = begin; last - begin < patience && !client.has_input();) {
        client.send_raw(next());
        std::this_thread::sleep_for(std::chrono::milliseconds(5)); // its pace
        const Clock::time_point now = Clock::now();
        const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(now - last);
        result.longest_pause = std::max(result.longest_pause, pause);
        last = now;
    }
    result.is_cut_off = client.has_input();
    return result;
}

} // namespace

TEST_CASE("a message without end costs little in parts, and ends with 1009 where it comes whole")
{
    const size_t count = scaled(64, 8) * kMiB / (64 * kKiB);
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen));
        Bystander bystander(server.port());
        Client client = Client::open(server.port());
        const std::string fragment =
            encode_frame(false, WS_OPCODE_CONTINUE, std::string(64 * kKiB, 'x'));
        const Peak peak;
        client.send_frame(false, WS_OPCODE_BINARY, "x");
        size_t sent = 0;
        while (sent < count && send_if_open(client, fragment))
            ++sent;
        CHECK(bystander.is_served());
        if (in_parts(style)) {
            CHECK(sent == count);
            client.send_frame(true, WS_OPCODE_CONTINUE, "");
            CHECK(client.receive_text() == std::to_string(1 + count * 64 * kKiB));
            CHECK(peak.grown_by() < 4 * kMiB);
        } else {
            CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
            client.reset();
            CHECK(wait_for_end(server, style, seen).code == WS_CLOSE_DIRTY);
            CHECK(peak.grown_by() < 3 * kMostMessage + 2 * kMiB); // its buffer has doubled
        }
        CHECK(bystander.is_served());
    }
}

TEST_CASE("a million empty fragments are no part, and cost no memory")
{
    constexpr size_t kBlock = 10'000;
    const size_t count = scaled(1'000'000, 50'000);
    const std::string block = repeated(encode_frame(false, WS_OPCODE_CONTINUE, ""), kBlock);
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen));
        Client client = Client::open(server.port());
        {
            Bystander bystander(server.port());
            const Peak peak;
            client.send_frame(false, WS_OPCODE_BINARY, "");
            for (size_t sent = 0; sent < count; sent += kBlock)
                client.send_raw(block);
            CHECK(bystander.is_served());
            CHECK(peak.grown_by() < 2 * kMiB);
        }
        seen.parts = 0; // the bystander's
        client.send_frame(true, WS_OPCODE_CONTINUE, "end");
        CHECK(client.receive_text() == "3");
        CHECK(seen.parts == (in_parts(style) ? 1 : 0));
    }
}

TEST_CASE("a message that dribbles is cut off if it comes whole, and in parts if it is no payload")
{
    static constexpr std::chrono::milliseconds kMost{150};
    const auto limited = [](libwebsock_context *context) {
        context->message_timeout_ms = kMost.count();
    };
    const std::string frame = encode_frame(true, WS_OPCODE_BINARY, std::string(100'000, 'x'));
    const std::string begin = encode_frame(false, WS_OPCODE_BINARY, "x");
    const std::string nothing = encode_frame(false, WS_OPCODE_CONTINUE, "") +
                                encode_frame(true, WS_OPCODE_PONG, "not asked for");
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen, limited));
        Dribble bytewise;
        do { // until it was no pause of this machine that has ended it
            Client client = Client::open(server.port());
            size_t at = 14; // behind the header, of which no byte is progress
            client.send_raw(frame.substr(0, at));
            bytewise = dribble(client, in_parts(style) ? 3 * kMost : kDeadline,
                               [&] { return frame.substr(at++, 1); });
            // Now nothing comes any more.
            CHECK(client.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
        } while (bytewise.is_cut_off && in_parts(style) && bytewise.longest_pause > kMost / 2);
        CHECK(bytewise.is_cut_off == !in_parts(style));

        Client empty = Client::open(server.port());
        empty.send_raw(begin);
        CHECK(dribble(empty, kDeadline, [&] { return nothing; }).is_cut_off);
        CHECK(empty.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
        CHECK(wait_for_end(server, style, seen, 2).text == "1008: message took too long");
    }
}

TEST_CASE("half a frame and then silence ends with the time-outs, and holds nobody up")
{
    constexpr size_t kClients = 20;
    constexpr int kSilenceMs = kSanitized ? 3000 : 600; // long enough to open all of them
    const std::string beginnings[] = {
        encode_header(true, WS_OPCODE_BINARY, kMostMessage),
        encode_header(true, WS_OPCODE_BINARY, kMostMessage) + std::string(1000, 'x'),
        encode_header(true, WS_OPCODE_BINARY, kMostMessage).substr(0, 3),
        encode_frame(false, WS_OPCODE_TEXT, "to be continued"),
        encode_header(true, WS_OPCODE_PING, 125),
    };
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen, [](libwebsock_context *context) {
            context->idle_timeout_ms = kSilenceMs;
            context->message_timeout_ms = 0;
        }));
        Bystander bystander(server.port());
        std::vector<Client> clients = open_many(kClients, server.port());
        for (size_t i = 0; i < kClients; ++i)
            clients[i].send_raw(beginnings[i % std::size(beginnings)]);
        CHECK(bystander.is_served());
        (void)wait_for_end(server, style, seen, kClients);
        for (const Event &close : server.events().all(Kind::close)) {
            CHECK(close.code == WS_CLOSE_DIRTY);
            CHECK(close.text == "silent for " + std::to_string(kSilenceMs) + " ms");
        }
        CHECK(bystander.is_served());
    }
}

TEST_CASE("a Close or RST in the middle of a message ends it, and receive returns 0")
{
    constexpr size_t kClients = 8;
    const std::string half =
        encode_frame(true, WS_OPCODE_BINARY, std::string(100'000, 'x')).substr(0, 50'000);
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen));
        Bystander bystander(server.port());
        for (size_t i = 0; i < kClients; ++i) {
            Client client = Client::open(server.port());
            const bool in_a_frame = i % 4 >= 2;
            const unsigned opcode = WS_OPCODE_BINARY;
            if (i % 2 == 0) {
                client.send_frame(false, opcode, "begun");
                client.send_close(4000, "bored");
                CHECK(client.receive_close().code == 4000);
                client.expect_eof();
                CHECK(wait_for_end(server, style, seen, i + 1).code == 4000);
            } else {
                client.send_raw(in_a_frame ? half : encode_frame(false, opcode, "begun"));
                client.reset();
                CHECK(wait_for_end(server, style, seen, i + 1).code == WS_CLOSE_DIRTY);
            }
        }
        CHECK(bystander.is_served());
    }
}

TEST_CASE("a client that asks without end and reads nothing is dropped, and its session goes on")
{
    const std::string question = encode_frame(true, WS_OPCODE_TEXT, std::string(1000, '?'));
    for (const Style style : kStyles) {
        CAPTURE(style);
        Seen seen;
        Server server(in_style(style, seen, [](libwebsock_context *context) {
            context->send_timeout_ms = 200;
            context->send_buffer_bytes = 4096;
        }));
        Bystander bystander(server.port());
        Client client(server.port(), {.receive_buffer = 4096});
        client.handshake();
        const auto is_gone = [&] {
            try {
                (void)client.send_now(repeated(question, 100));
            } catch (const std::exception &) {
                return true; // the socket is gone
            }
            return server.events().count(Kind::close) == 1;
        };
        CHECK(eventually(is_gone));
        CHECK(wait_for_end(server, style, seen).text == "did not read for 200 ms");
        CHECK(server.stats().send_timeouts == 1);
        CHECK(bystander.is_served());
    }
}
