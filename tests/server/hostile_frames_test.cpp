// hostile_frames_test.cpp: what a client can do to the server with frames alone: announce data
// that never comes, send floods of tiny frames, ask and never read. What the decoder refuses
// is in frame_refusal_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <exception>

using namespace test;

namespace {

constexpr size_t kMiB = size_t{1} << 20;
// the default of max_frame_payload and of max_message_payload
constexpr uint64_t kLimit = 16 * kMiB;

// The same frame many times over, so that a million are built only once.
std::string repeated(const std::string &frame, size_t count)
{
    std::string frames;
    frames.reserve(frame.size() * count);
    for (size_t i = 0; i < count; i++)
        frames += frame;
    return frames;
}

const std::string kPing = encode_frame(true, WS_OPCODE_PING, std::string(100, '.'));

// Returns even if the server is slow: it goes on reading, so all of them are sent.
void send_pings(Client &client, size_t bytes)
{
    const std::string block = repeated(kPing, 100);
    for (size_t sent = 0; sent < bytes; sent += block.size())
        client.send_raw(block);
}

// Callbacks for a server with too many messages to record. Binary messages are one byte and
// must come in order; texts are echoed.
std::atomic<size_t> bytes_seen;
std::atomic<size_t> bytes_wrong;

int count_byte(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT)
        return libwebsock_send_text_with_length(client, msg->payload, msg->payload_len);
    const size_t nth = bytes_seen.fetch_add(1);
    bytes_wrong += msg->payload_len != 1 || msg->payload[0] != static_cast<char>(nth % 100);
    return 0;
}

} // namespace

TEST_CASE("an impossible length is refused, and costs no memory")
{
    Server server({.onmessage = echo});
    Bystander bystander(server.port());
    const AllocationWatch watch;
    const struct {
        uint64_t len;
        unsigned code;
    } cases[] = {
        {uint64_t{1} << 63, WS_CLOSE_PROTOCOL_ERROR},        {UINT64_MAX, WS_CLOSE_PROTOCOL_ERROR},
        {(uint64_t{1} << 63) - 1, WS_CLOSE_MESSAGE_TOO_BIG}, {UINT32_MAX, WS_CLOSE_MESSAGE_TOO_BIG},
        {uint64_t{1} << 32, WS_CLOSE_MESSAGE_TOO_BIG},       {kLimit + 1, WS_CLOSE_MESSAGE_TOO_BIG},
    };
    for (const auto &too_long : cases) {
        CAPTURE(too_long.len);
        Client client = Client::open(server.port());
        client.send_raw(encode_header(true, WS_OPCODE_BINARY, too_long.len) + "the beginning");
        CHECK(client.receive_close().code == too_long.code);
        client.drain();
    }
    CHECK(bystander.is_served());
    CHECK(watch.largest() < kMiB);
}

TEST_CASE("messages announced but never sent cost little, and end by idle timeout")
{
    constexpr size_t kClients = 50;
    constexpr int kSilenceMs = kSanitized ? 4000 : 600; // long enough to open all of them
    Server server({.settings = [](auto *context) { context->idle_timeout_ms = kSilenceMs; },
                   .onmessage = echo});
    Bystander bystander(server.port());
    const AllocationWatch watch;
    const std::string beginnings[] = {
        encode_header(true, WS_OPCODE_BINARY, kLimit),
        encode_header(true, WS_OPCODE_BINARY, kLimit) + std::string(1000, 'x'),
        encode_header(true, WS_OPCODE_BINARY, kLimit).substr(0, 3),
        encode_frame(false, WS_OPCODE_TEXT, "to be continued"),
        encode_header(true, WS_OPCODE_PING, 125),
    };
    std::vector<Client> clients = open_many(kClients, server.port());
    for (size_t i = 0; i < kClients; i++)
        clients[i].send_raw(beginnings[i % std::size(beginnings)]);
    CHECK(bystander.is_served());
    server.events().wait(Kind::close, kClients);
    for (const Event &close : server.events().all(Kind::close)) {
        CHECK(close.code == WS_CLOSE_DIRTY);
        CHECK(close.text == "silent for " + std::to_string(kSilenceMs) + " ms");
    }
    CHECK(watch.largest() < kMiB);
    CHECK(bystander.is_served());
}

TEST_CASE("ten million empty fragments are one message, and cost no memory")
{
    const size_t count = scaled(10'000'000, 200'000);
    constexpr size_t kBlock = 10'000;
    Server server({.onmessage = echo});
    Bystander bystander(server.port());
    Client client = Client::open(server.port());
    const std::string block = repeated(encode_frame(false, WS_OPCODE_CONTINUE, ""), kBlock);
    const AllocationWatch watch;
    client.send_frame(false, WS_OPCODE_TEXT, "begin");
    for (size_t sent = 0; sent < count; sent += kBlock)
        client.send_raw(block);
    client.send_frame(true, WS_OPCODE_CONTINUE, " and end");
    CHECK(client.receive_text() == "begin and end");
    CHECK(bystander.is_served());
    CHECK(watch.largest() < kMiB);
}

TEST_CASE("after a flood of pings, a client that did not read is owed only the newest answer")
{
    Server server({.settings = [](auto *context) { context->control_callback = nullptr; },
                   .onmessage = echo});
    Bystander bystander(server.port());
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    const uint64_t sent_before = client.bytes_sent();
    const AllocationWatch watch;
    send_pings(client, scaled(64, 16) * kMiB); // more answers than the sockets hold
    CHECK(bystander.is_served());
    CHECK(watch.largest() < 16 * kMiB); // four times max_queued_bytes
    client.send_frame(true, WS_OPCODE_PING, "the newest");
    size_t wrong = 0;
    size_t pongs = 0;
    Frame pong;
    for (; pong.payload != "the newest"; pongs++) {
        pong = client.receive_frame();
        wrong += pong.opcode != WS_OPCODE_PONG;
    }
    CHECK(wrong == 0);
    CHECK(pongs < (client.bytes_sent() - sent_before) / kPing.size()); // RFC 6455 5.5.3
    client.send_text("still there?");
    CHECK(client.receive_text() == "still there?");
}

TEST_CASE("a flood of pings from a client that does not read ends with send_timeout_ms")
{
    Server server({.settings =
                       [](auto *context) {
                           context->control_callback = nullptr;
                           context->send_timeout_ms = 300;
                       },
                   .onmessage = echo});
    Bystander bystander(server.port());
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    const auto is_gone = [&] {
        try {
            send_pings(client, kMiB);
        } catch (const std::exception &) {
            return true; // the socket is gone
        }
        return server.events().count(Kind::close) == 1;
    };
    CHECK(eventually(is_gone));
    CHECK(server.events().wait(Kind::close).text == "did not read for 300 ms");
    CHECK(server.stats().send_timeouts == 1);
    CHECK(bystander.is_served());
}

TEST_CASE("a million one-byte messages in one go are all delivered, in order")
{
    const size_t count = scaled(1'000'000, 50'000);
    bytes_seen = bytes_wrong = 0;
    Server server({.settings = [](auto *context) { context->onmessage = count_byte; }});
    Bystander bystander(server.port());
    Client client = Client::open(server.port());
    std::string hundred;
    for (char c = 0; c < 100; c++)
        hundred += encode_frame(true, WS_OPCODE_BINARY, {&c, 1});
    const std::string all = repeated(hundred, count / 100);
    const AllocationWatch watch;
    client.send_raw(all);
    CHECK(bystander.is_served());
    client.send_text("that was all");
    CHECK(client.receive_text() == "that was all");
    CHECK(bytes_seen == count);
    CHECK(bytes_wrong == 0);
    CHECK(watch.largest() < 16 * kMiB); // four times max_queued_bytes
}
