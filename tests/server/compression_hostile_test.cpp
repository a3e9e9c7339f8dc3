// compression_hostile_test.cpp: what clients do wrong, or slowly, with permessage-deflate: bombs,
// messages that dribble or never end, clients that do not read, callbacks that never return. What
// is no DEFLATE is in conformance/corrupt_cases.cpp.
#include "tests/support/deflate_stream.h"
#include "tests/support/hostile.h"
#include "tests/support/peak_memory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;

namespace {

constexpr const char *kOffer = "permessage-deflate; client_max_window_bits";
constexpr unsigned kRsv1 = 0x40;
constexpr size_t kKiB = 1024;
constexpr size_t kMiB = kKiB * kKiB;

void compress(libwebsock_context *context) { context->compression = 1; }

Client connect(Server &server, const Client::Options &options = {.extensions = kOffer})
{
    Client client(server.port(), options);
    CHECK(client.handshake().header("Sec-WebSocket-Extensions") != "");
    return client;
}

std::string first_fragment(std::string_view payload)
{
    return encode_frame(false, WS_OPCODE_TEXT | kRsv1, payload);
}

// A message of one byte, repeated: a thousandth of this many bytes.
std::string bomb(size_t mebibytes)
{
    DeflateStream stream(12, 9);
    std::string payload = stream.feed(std::string(kMiB, 'x'), false);
    const std::string next = stream.feed(std::string(kMiB, 'x'), false);
    for (size_t i = 1; i < mebibytes; ++i)
        payload += next; // refers to as much as the one before it
    return payload + '\0';
}

// Text that gets about half as long.
std::string digits(unsigned seed, size_t bytes)
{
    std::string out;
    for (uint64_t x = seed + 1; out.size() < bytes; out += std::to_string(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    out.resize(bytes);
    return out;
}

void check_peak(const Peak &peak, size_t most) { CHECK(peak.grown_by() / kKiB <= most / kKiB); }

} // namespace

TEST_CASE("a bomb costs as much as the largest message, and others are served meanwhile")
{
    constexpr size_t kAttackers = 8;
    constexpr size_t kMost = kMiB;
    const std::string bytes = encode_frame(true, WS_OPCODE_BINARY | kRsv1, bomb(1024));
    REQUIRE(bytes.size() < 2 * kMiB);
    Server server({.settings =
                       [](auto *context) {
                           context->compression = 1;
                           context->max_message_payload = kMost;
                       },
                   .onmessage = echo});
    Bystander bystander(server.port());
    const Peak peak;
    for (size_t round = 0; round < scaled(4, 1); ++round) {
        std::vector<Client> attackers;
        for (size_t i = 0; i < kAttackers; ++i)
            attackers.push_back(connect(server));
        for (Client &attacker : attackers)
            attacker.send_raw(bytes);
        CHECK(bystander.is_served());
        for (Client &attacker : attackers)
            CHECK(attacker.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
        CHECK(bystander.is_served());
    }
    // The frame and the message, each in a buffer that has doubled, and the client's own state.
    check_peak(peak, kAttackers * (3 * kMost + 3 * bytes.size() + 512 * kKiB));
    CHECK(server.stats().inflated_bytes_after <= scaled(4, 1) * kAttackers * kMost);
}

TEST_CASE("small frames that become large messages wait within max_queued_bytes, and few beyond")
{
    const size_t messages = scaled(64, 16);
    constexpr size_t kLarge = 4 * kMiB;
    std::atomic<size_t> large = 0;
    std::atomic<bool> is_blocked = false;
    Server server({.settings =
                       [](auto *context) {
                           context->compression = 1;
                           context->max_queued_bytes = 4 * kMiB;
                       },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *msg) {
                           large += msg->payload_len == kLarge;
                           if (std::string_view(msg->payload) == "block") {
                               is_blocked = true;
                               scene.gate.wait();
                           } else if (msg->payload_len < 100) {
                               echo(scene, client, msg);
                           }
                       }});
    Client client = connect(server);
    Bystander bystander(server.port());
    // So that the server reads much at a time, it first gets much.
    std::string all = encode_frame(true, WS_OPCODE_BINARY, std::string(kMiB, 'x')) +
                      encode_frame(true, WS_OPCODE_TEXT, "block");
    const std::string one = encode_frame(true, WS_OPCODE_BINARY | kRsv1, bomb(kLarge / kMiB));
    for (size_t i = 0; i < messages; ++i)
        all += one;
    all += encode_frame(true, WS_OPCODE_TEXT, "done");
    const Peak peak;
    std::thread sender([&] { client.send_raw(all); });
    CHECK(eventually([&] { return is_blocked.load(); }));
    unsigned long long seen = 0; // it stands still once the server waits
    size_t looks = 0;
    CHECK(eventually([&] {
        const unsigned long long now = server.stats().inflated_bytes_after;
        looks = now == std::exchange(seen, now) ? looks + 1 : 0;
        return now >= kLarge && looks == 100;
    }));
    CHECK(bystander.is_served());
    CHECK(server.stats().inflated_bytes_after <= 3 * kLarge);
    check_peak(peak, 8 * kLarge);
    server.gate().open();
    sender.join();
    CHECK(client.receive_text() == "done");
    CHECK(large == messages);
}

TEST_CASE("a compressed message that dribbles is cut off when its time is over")
{
    const std::string nothing("\x00\x00\x00\xff\xff", 5); // an empty block
    std::string much; // more than is sent before the time is over, even if the server is held up
    for (size_t i = 0; i < 2'000'000; ++i)
        much += nothing;
    const std::string frame = first_fragment(much);
    for (const bool in_frame : {true, false}) {
        CAPTURE(in_frame);
        Server server({.settings =
                           [](auto *context) {
                               context->compression = 1;
                               context->message_timeout_ms = 150;
                           },
                       .onmessage = echo});
        Client client = connect(server);
        client.send_raw(in_frame ? frame.substr(0, 4) : first_fragment(nothing));
        const Clock::time_point deadline = Clock::now() + kDeadline;
        for (size_t i = 4; !client.has_input() && Clock::now() < deadline; ++i) {
            if (in_frame)
                client.send_raw(frame.substr(i, 1));
            else
                client.send_frame(false, WS_OPCODE_CONTINUE, nothing);
        }
        CHECK(client.receive_close().code == WS_CLOSE_POLICY_VIOLATION);
        CHECK(server.events().wait(Kind::close).text == "1008: message took too long");
        CHECK(server.events().count(Kind::message) == 0);
    }
}

TEST_CASE("what waits for a client counts as it will leave, up to max_queued_bytes")
{
    constexpr size_t kQueued = 64 * kKiB, kLength = 8000;
    Server server({.settings =
                       [](auto *context) {
                           context->compression = 1;
                           context->max_queued_bytes = kQueued;
                           context->send_buffer_bytes = 4096;
                       },
                   .keep_handles = true});
    // Returns what the message that counted most was counted as.
    const auto queue_until_full = [&](size_t nth, Client &client) {
        libwebsock_client_state *const handle = server.handle(nth);
        std::vector<std::string> sent;
        size_t most = 0;
        for (;;) {
            const std::string text = digits(static_cast<unsigned>(sent.size()), kLength);
            const size_t before = libwebsock_queued_bytes(handle);
            const int error = error_of(libwebsock_queue_text(handle, text.data(), text.size()));
            const size_t queued = libwebsock_queued_bytes(handle); // some may have left meanwhile
            CHECK(queued <= kQueued);
            if (error != 0) {
                CHECK(error == ENOBUFS);
                break;
            }
            most = std::max(most, std::max(queued, before) - before);
            sent.push_back(text);
        }
        for (const std::string &text : sent)
            CHECK(client.receive_frame().payload == text);
        return most;
    };
    Client plain(server.port(), {.receive_buffer = 4096});
    plain.handshake();
    CHECK(queue_until_full(1, plain) >= kLength);
    Client client = connect(server, {.receive_buffer = 4096, .extensions = kOffer});
    const size_t compressed = queue_until_full(2, client);
    CHECK(compressed > 0);
    CHECK(compressed < kLength * 2 / 3);
    CHECK(libwebsock_send_text(server.handle(2), digits(1, 500).c_str()) == 0);
    CHECK(client.receive_frame().payload == digits(1, 500));
}

TEST_CASE("messages for all that wait for a client count with what they hold in memory")
{
    constexpr size_t kQueued = kMiB;
    Server server({.settings =
                       [](auto *context) {
                           context->compression = 1;
                           context->max_queued_bytes = kQueued;
                           context->send_buffer_bytes = 4096;
                       },
                   .keep_handles = true});
    Client client = connect(server, {.receive_buffer = 4096, .extensions = kOffer});
    libwebsock_client_state *const handle = server.handle();
    const std::string text = digits(1, 64 * kKiB); // and half of that, compressed
    const auto send_to_all = [&] {
        return libwebsock_send_all_text(server.context(), text.c_str());
    };
    size_t waiting = 0;
    for (size_t sent = 0; sent < 1000 && libwebsock_is_open(handle) == 1; ++sent) {
        CHECK(libwebsock_queued_bytes(handle) <= kQueued);
        CHECK(send_to_all() == 0);
        waiting = std::max<size_t>(waiting, sent + 1 - server.stats().messages_out);
    }
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {"1008"}));
    CHECK(waiting >= 5);
    CHECK(waiting <= kQueued / text.size() + 2);
}

TEST_CASE("a client that does not read its compressed messages is dropped after send_timeout_ms")
{
    std::atomic<int> error = 0;
    std::atomic<int> error_afterwards = 0;
    Server server({.settings =
                       [](auto *context) {
                           context->compression = 1;
                           context->send_timeout_ms = 200;
                           context->send_buffer_bytes = 4096;
                       },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *msg) {
                           if (msg->payload_len < 5)
                               return echo(scene, client, msg);
                           const std::string text = digits(1, 100'000);
                           for (size_t i = 0; i < 1000 && error == 0; ++i)
                               error = error_of(libwebsock_send_text(client, text.c_str()));
                           error_afterwards = error_of(libwebsock_send_text(client, "late"));
                       }});
    Client lazy = connect(server, {.receive_buffer = 16384, .extensions = kOffer});
    lazy.send_compressed(WS_OPCODE_TEXT, "send me everything");
    Client other = connect(server);
    other.send_compressed(WS_OPCODE_TEXT, "ask");
    CHECK(other.receive_text() == "ask");
    const Event close = server.events().wait(Kind::close);
    CHECK(server.stats().send_timeouts == 1);
    CHECK((error == ETIMEDOUT || error == ENOTCONN)); // it may have ended between two messages
    CHECK(error_afterwards == ENOTCONN);
    CHECK(close.code == WS_CLOSE_DIRTY);
    CHECK(server.log().has(kAnyLevel, {lazy.address()}));
    other.send_compressed(WS_OPCODE_TEXT, "ask");
    CHECK(other.receive_text() == "ask");
}

TEST_CASE("a thousand clients may each be in the middle of a compressed message")
{
    const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7); // RFC 7692 7.2.3.1
    const size_t count = crowd(over_tls() ? 500 : 1000, 100);
    Server server({.settings = compress, .onmessage = echo});
    std::vector<Client> clients = connect_many(count, server.port());
    const std::string request =
        upgrade_request("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    for (Client &client : clients)
        client.send_raw(request);
    for (Client &client : clients)
        CHECK(client.receive_http().header("Sec-WebSocket-Extensions") == "permessage-deflate");
    Bystander bystander(server.port());
    for (Client &client : clients)
        client.send_raw(first_fragment(hello.substr(0, 4)));
    CHECK(eventually([&] { return server.stats().compression_states >= count; }));
    CHECK(server.stats().connections_compressed == count);
    CHECK(server.stats().compression_state_bytes <= count * 80 * kKiB);
    CHECK(bystander.is_served());
    for (size_t i = 0; i < count; ++i) {
        if (i % 2 == 0)
            clients[i].reset();
        else
            clients[i].send_frame(true, WS_OPCODE_CONTINUE, hello.substr(4));
    }
    for (size_t i = 1; i < count; i += 2)
        CHECK(clients[i].receive_text() == "Hello");
    CHECK(eventually([&] { return server.stats().compression_states == 0; }));
    CHECK(server.stats().compression_state_bytes == 0);
    CHECK(eventually([&] { return server.stats().connections_compressed == count / 2; }));
    CHECK(bystander.is_served());
}

TEST_CASE("callbacks that never return hold up only their own clients")
{
    constexpr size_t kClients = 20;
    Server server({.settings = compress, .onmessage = [](Scene &scene, auto *client, auto *msg) {
                       if (std::string_view(msg->payload).starts_with("block"))
                           scene.gate.wait();
                       echo(scene, client, msg);
                   }});
    std::vector<Client> blocked;
    for (size_t i = 0; i < kClients; ++i) {
        blocked.push_back(connect(server));
        blocked.back().send_compressed(WS_OPCODE_TEXT, "block " + digits(1, 300));
        blocked.back().send_compressed(WS_OPCODE_TEXT, "behind it " + digits(2, 300));
    }
    Client client = connect(server);
    for (unsigned i = 0; i < 200; ++i) {
        client.send_compressed(WS_OPCODE_TEXT, digits(i, 500));
        CHECK(client.receive_text() == digits(i, 500));
    }
    server.gate().open();
    for (Client &one : blocked) {
        CHECK(one.receive_text() == "block " + digits(1, 300));
        CHECK(one.receive_text() == "behind it " + digits(2, 300));
    }
}
