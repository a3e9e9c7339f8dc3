// hostile_memory_test.cpp: how much memory one client can make the server keep, with frames of
// all kinds, while one of its callbacks blocks. What a single frame can do is in
// hostile_frames_test.cpp.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <malloc.h>

using namespace test;

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = kKiB * kKiB;

// Bytes this process has from malloc and has not freed. 0 where that is unknown: another C
// library, a sanitizer's malloc.
size_t allocated()
{
#if defined(__GLIBC__) && !defined(TEST_SANITIZED)
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

std::string repeated(const std::string &frames, size_t bytes)
{
    std::string all;
    while (all.size() < bytes)
        all += frames;
    return all;
}

const std::string kEmptyPing = encode_frame(true, WS_OPCODE_PING, "");
const std::string kTinyMessage = encode_frame(true, WS_OPCODE_BINARY, "x");

// Frames that a client sends over and over.
struct Mix {
    std::string name;
    std::string frames;
};

std::vector<Mix> mixes()
{
    const std::string full(125, '.');
    const auto fragments = [](std::string_view payload, size_t more_bytes) {
        return encode_frame(false, WS_OPCODE_BINARY, payload) +
               repeated(encode_frame(false, WS_OPCODE_CONTINUE, ""), more_bytes) +
               encode_frame(true, WS_OPCODE_CONTINUE, payload);
    };
    return {
        {"empty pings", kEmptyPing},
        {"empty pongs", encode_frame(true, WS_OPCODE_PONG, "")},
        {"full pings", encode_frame(true, WS_OPCODE_PING, full)},
        {"full pongs", encode_frame(true, WS_OPCODE_PONG, full)},
        {"messages of one byte", kTinyMessage},
        {"empty messages", encode_frame(true, WS_OPCODE_BINARY, "")},
        {"fragments of one byte", fragments("x", 1)},
        {"empty fragments", fragments("", 1)},
        // None of these fragments is an event, but the message after them has to be kept.
        {"a read full of empty fragments, and one tiny message",
         fragments("", 256 * kKiB) + kTinyMessage},
        {"8 KiB of empty fragments, and one tiny message", fragments("x", 8 * kKiB) + kTinyMessage},
        {"a read full of pings, and one tiny message",
         repeated(kEmptyPing, 256 * kKiB) + kTinyMessage},
        {"8 KiB of pings, and one tiny message", repeated(kEmptyPing, 8 * kKiB) + kTinyMessage},
        {"tiny and middling messages",
         kTinyMessage + encode_frame(true, WS_OPCODE_BINARY, std::string(3000, 'x'))},
    };
}

// More than the kernel's buffers of both sides hold, and then some.
constexpr size_t kFlood = 20 * kMiB;

// Sends block until the socket accepts nothing for a while. Returns the largest number of
// bytes allocated meanwhile.
size_t flood(Client &client, const std::string &block)
{
    size_t most = 0;
    std::string_view unsent;
    for (size_t sent = 0; sent < kFlood && client.writable_within(std::chrono::milliseconds(60));) {
        if (unsent.empty())
            unsent = block;
        const size_t taken = client.send_now(unsent.substr(0, 64 * kKiB));
        unsent.remove_prefix(taken);
        sent += taken;
        most = std::max(most, allocated());
    }
    return most;
}

// Callbacks for a server with too many events to record. The callback of a message "block"
// does not return until the gate opens; texts are echoed.
Gate *gate;
std::atomic<size_t> controls_seen;

int block_or_echo(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode != WS_OPCODE_TEXT)
        return 0;
    libwebsock_send_text(client, "begun");
    if (msg->payload == std::string("block"))
        gate->wait();
    return libwebsock_send_text(client, msg->payload);
}

int count_control(libwebsock_client_state *, libwebsock_frame *)
{
    controls_seen++;
    return 0;
}

// Floods the server with frames of one kind while a callback blocks.
void check_bound(const Mix &mix, size_t max_queued_bytes, bool controls_wanted)
{
    CAPTURE(mix.name);
    CAPTURE(max_queued_bytes);
    CAPTURE(controls_wanted);
    // See libwebsock_limits(7); the rest is the transport's and the callback's own.
    const size_t bound = max_queued_bytes * 5 / 2 + 64 * kKiB + (over_tls() ? 128 * kKiB : 0);
    Gate this_gate;
    gate = &this_gate;
    Server server({.settings = [&](auto *context) {
        context->max_queued_bytes = max_queued_bytes;
        context->onmessage = block_or_echo;
        context->control_callback = controls_wanted ? count_control : nullptr;
        context->onpong = nullptr;
    }});
    const std::string block = repeated(mix.frames, 256 * kKiB);
    Client client(server.port(), {.send_buffer = 64 * 1024});
    client.handshake();
    client.send_text("block");
    CHECK(client.receive_text() == "begun");
    const size_t before = allocated();
    const size_t most = flood(client, block);
    CHECK(most / kKiB <= (before + bound) / kKiB);
    client.reset();
    gate->open();
}

} // namespace

TEST_CASE("whatever frames a client sends, what waits for its callbacks stays within the bound")
{
    for (const Mix &mix : mixes())
        check_bound(mix, 64 * kKiB, false);
}

TEST_CASE("the bound holds for control frames that a callback wants to see")
{
    for (const Mix &mix : mixes())
        check_bound(mix, 64 * kKiB, true);
}

TEST_CASE("the bound holds with the default of max_queued_bytes")
{
    const std::vector<Mix> all = mixes();
    for (size_t i : {size_t{0}, size_t{4}, size_t{8}, size_t{9}}) // those that kept the most
        check_bound(all[i], 4 * kMiB, false);
}

TEST_CASE("memory used by bursts is given back soon, whether heartbeats follow or nothing does")
{
    constexpr size_t kClients = 16;
    // A connection keeps its small buffers. With TLS, the client in this process adds
    // OpenSSL's.
    const size_t kept = (over_tls() ? 56 : 24) * kKiB;
    Server server({.settings = [](auto *context) {
        context->idle_timeout_ms = 0;
        context->onmessage = block_or_echo;
    }});
    std::vector<Client> clients = open_many(kClients, server.port());
    const std::string burst =
        repeated(encode_frame(true, WS_OPCODE_BINARY, std::string(1000, 'x')), 4 * kMiB);
    const size_t before = allocated();
    for (Client &client : clients) {
        client.send_raw(burst);
        client.send_frame(true, WS_OPCODE_PING, "");
        CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
    }
    CHECK(eventually([&] {
        // Every other client is never silent.
        for (size_t i = 0; i < kClients; i += 2) {
            clients[i].send_text("beat");
            CHECK(clients[i].receive_frame().payload == "begun");
            CHECK(clients[i].receive_frame().payload == "beat");
        }
        return allocated() <= before + kClients * kept;
    }));
}
