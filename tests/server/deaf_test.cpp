// deaf_test.cpp: clients that read little or nothing. They hold up nobody, however few workers
// there are, and a slow reader is not mistaken for one that does not read.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fcntl.h>
#include <future>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace test;

namespace {

constexpr size_t kMiB = 1u << 20;
constexpr size_t kDeaf = 4; // twice as many as workers

void give_two_workers(libwebsock_context *context) { context->max_workers = 2; }

int listen_with_send_buffer(int bytes)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 100) == 0);
    return fd;
}

void check_is_served(Server &server)
{
    Client other = Client::open(server.port());
    other.send_text("still there?");
    CHECK(other.receive_past_pings().payload == "still there?");
    CHECK(server.events().count(Kind::close) == 0); // without dropping anybody
}

// Sends frame repeatedly until the socket has accepted nothing for a while.
void send_until_stuck(Client &client, const std::string &frame)
{
    std::string unsent;
    const Clock::time_point deadline = Clock::now() + kDeadline;
    while (Clock::now() < deadline && client.writable_within(std::chrono::milliseconds(100))) {
        if (unsent.empty())
            unsent = frame;
        unsent.erase(0, client.send_now(unsent));
    }
}

// Reads this many messages, pausing after each: the pause makes a slow reader, it waits for
// nothing.
size_t read_slowly(Client &client, size_t messages, std::chrono::milliseconds pace)
{
    size_t bytes = 0;
    for (size_t read = 0; read < messages;) {
        const Frame frame = client.receive_frame();
        if (frame.opcode != WS_OPCODE_BINARY)
            continue; // a ping, which a slow client does not answer
        bytes += frame.payload.size();
        read++;
        std::this_thread::sleep_for(pace);
    }
    return bytes;
}

} // namespace

TEST_CASE("clients that do not read what is sent to all hold up no callback")
{
    Server server({.settings = give_two_workers, .onmessage = echo});
    std::vector<Client> deaf = open_many(kDeaf, server.port(), {.receive_buffer = 4096});
    server.events().wait(Kind::open, kDeaf);
    const std::string chunk(kMiB, 'x');
    for (int i = 0; i < 6; i++) // the kernel takes up to 4 MiB, and max_queued_bytes is 4 MiB
        CHECK(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
    check_is_served(server);
}

TEST_CASE("clients that ask but do not read the answers hold up no callback")
{
    for (const int concurrent : {0, 1}) {
        for (const size_t size : {size_t{1000}, kMiB}) {
            CAPTURE(concurrent);
            CAPTURE(size);
            Server server({.settings =
                               [&](auto *context) {
                                   give_two_workers(context);
                                   context->max_queued_bytes = 64 * 1024;
                                   context->concurrent_events = concurrent;
                               },
                           .onmessage = echo});
            std::vector<Client> deaf = open_many(kDeaf, server.port(), {.receive_buffer = 4096});
            const std::string question =
                encode_frame(true, WS_OPCODE_BINARY, std::string(size, 'x'));
            for (Client &client : deaf)
                send_until_stuck(client, question);
            check_is_served(server);
        }
    }
}

TEST_CASE("a client that reads its answers late gets them all, and is then heard again")
{
    constexpr size_t kMessages = 2000;
    for (const int concurrent : {0, 1}) {
        CAPTURE(concurrent);
        Server server({.settings =
                           [&](auto *context) {
                               context->max_queued_bytes = 64 * 1024;
                               context->concurrent_events = concurrent;
                           },
                       .onmessage = echo});
        Client client(server.port(), {.receive_buffer = 4096});
        client.handshake();
        const std::string padding(5000, '.');
        std::future<void> sender = std::async(std::launch::async, [&] {
            for (size_t i = 0; i < kMessages; i++)
                client.send_text(std::to_string(i) + padding);
        });
        CHECK(eventually([&] { return server.stats().messages_in > 30; }));
        size_t right = 0;
        for (size_t i = 0; i < kMessages; i++) {
            const std::string text = client.receive_text();
            right +=
                text.ends_with(padding) && (concurrent == 1 || text == std::to_string(i) + padding);
        }
        CHECK(right == kMessages);
        sender.get();
    }
}

TEST_CASE("messages that wait for a last fragment do not block the callback that sends it")
{
    const std::string whole(300 * 1024, 'w');
    Server server({.onmessage = [&](Scene &, auto *client, auto *msg) {
        const bool first = std::string(msg->payload) == "begin";
        libwebsock_send_fragment(client, "part", 4,
                                 first ? WS_OPCODE_TEXT : WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
        if (first)
            libwebsock_send_binary(client, whole.data(), whole.size());
    }});
    Client client = Client::open(server.port());
    client.send_text("begin");
    client.send_text("end");
    CHECK(client.receive_frame().payload == "part");
    CHECK(client.receive_frame().payload == "part");
    CHECK(client.receive_frame().payload.size() == whole.size());
}

TEST_CASE("a client that others send a lot to is heard even if it does not read")
{
    Server server({.onmessage = [](Scene &, auto *, auto *) {}});
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    server.events().wait(Kind::open);
    const std::string chunk(kMiB, 'x');
    for (int i = 0; i < 6; i++)
        CHECK(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
    for (size_t i = 1; i <= 3; i++) {
        client.send_text("enough");
        server.events().wait(Kind::message, i);
    }
    CHECK(server.events().count(Kind::close) == 0);
}

TEST_CASE("a send may take longer than send_timeout_ms while its peer reads")
{
    // Enough senders that each waits longer than that for the others.
    constexpr size_t kSenders = 12, kEach = 3, kMessage = 256 * 1024;
    Server server(
        {.settings = [](auto *context) { context->send_timeout_ms = 700; }, .keep_handles = true});
    Client slow(server.port(), {.receive_buffer = 16384});
    slow.handshake();
    libwebsock_client_state *handle = server.handle();
    std::vector<std::future<int>> senders;
    for (size_t i = 0; i < kSenders; i++)
        senders.push_back(std::async(std::launch::async, [handle] {
            const std::string message(kMessage, 'x');
            int error = 0;
            for (size_t sent = 0; sent < kEach && error == 0; sent++)
                error = error_of(libwebsock_send_binary(handle, message.data(), message.size()));
            return error;
        }));
    CHECK(read_slowly(slow, kSenders * kEach, std::chrono::milliseconds(80)) ==
          kSenders * kEach * kMessage);
    for (std::future<int> &sender : senders)
        CHECK(sender.get() == 0);
    CHECK(server.stats().send_timeouts == 0);
}

TEST_CASE("a peer that reads its backlog is not silent, and its ping comes after the backlog")
{
    constexpr size_t kMessages = 250, kMessage = 16 * 1024;
    Server server({.settings = [](auto *context) { context->idle_timeout_ms = 1200; },
                   .onopen =
                       [](Scene &, auto *client) {
                           const std::string message(kMessage, 'x');
                           for (size_t i = 0; i < kMessages; i++)
                               libwebsock_send_binary(client, message.data(), message.size());
                       },
                   .onmessage = echo});
    Client slow(server.port(), {.receive_buffer = 16384});
    slow.handshake();
    CHECK(read_slowly(slow, kMessages, std::chrono::milliseconds(10)) == kMessages * kMessage);
    slow.send_text("I have read it");
    CHECK(slow.receive_past_pings().payload == "I have read it");
    CHECK(server.events().count(Kind::close) == 0);
}

TEST_CASE("a peer that does not read counts as silent even if its kernel takes the data")
{
    Server server({.settings = [](auto *context) { context->idle_timeout_ms = 600; }});
    Client deaf(server.port());
    deaf.handshake();
    server.events().wait(Kind::open);
    int sent = 0;
    for (; server.events().count(Kind::close) == 0 && sent < 200; sent++) {
        CHECK(libwebsock_send_all_text(server.context(), "tick") == 0);
        // the pace of the messages, not a wait
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(sent < 100);
    CHECK(server.events().wait(Kind::close).text == "silent for 600 ms");
}

TEST_CASE("a peer that stops reading is dropped in time, whether or not anybody sends to it")
{
    for (const bool sends : {false, true}) {
        CAPTURE(sends);
        Server server({.settings = [](auto *context) { context->send_timeout_ms = 300; },
                       .keep_handles = true});
        Client deaf(server.port(), {.receive_buffer = 4096});
        deaf.handshake();
        libwebsock_client_state *handle = server.handle();
        const std::string chunk(kMiB, 'x');
        if (sends) {
            int error = 0;
            while (error == 0)
                error = error_of(libwebsock_send_binary(handle, chunk.data(), chunk.size()));
            CHECK(error == ETIMEDOUT);
        } else {
            for (int i = 0; i < 6; i++)
                (void)libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size());
        }
        const Event close = server.events().wait(Kind::close);
        CHECK(close.code == WS_CLOSE_DIRTY);
        CHECK(close.text == "did not read for 300 ms");
        CHECK(server.stats().send_timeouts == 1);
    }
}

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a slow reader is recognised as reading over a Unix socket, too")
{
    Server server(
        {.settings = [](auto *context) { context->send_timeout_ms = 700; }, .keep_handles = true});
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    REQUIRE(libwebsock_bind_socket(server.context(), pair[0]) == 0);
    Client slow = Client::over(pair[1]);
    slow.handshake();
    libwebsock_client_state *const handle = server.handle();
    // Small messages, for which the system's overhead is largest; the last ones wait in the
    // server. Those that are read slowly leave one by one: what leaves together is one piece to the
    // system, which does not see that a part of a piece is read.
    constexpr size_t kMessages = 3000, kReadSlowly = 25, kFrame = 2 + 8;
    for (size_t i = 0; i < kMessages; i++) {
        CHECK(libwebsock_send_all_binary(server.context(), "8 bytes!", 8) == 0);
        if (i < kReadSlowly)
            REQUIRE(eventually([&] { return libwebsock_queued_bytes(handle) == 0; }));
    }
    REQUIRE(::fcntl(slow.fd(), F_SETFL, 0) == 0); // its reads block
    std::array<char, kFrame> frame;
    size_t received = 0;
    for (; received < kReadSlowly; received++) { // for two and a half times send_timeout_ms
        CHECK(::recv(slow.fd(), frame.data(), frame.size(), MSG_WAITALL) == kFrame);
        std::this_thread::sleep_for(std::chrono::milliseconds(70));
    }
    CHECK(server.stats().send_timeouts == 0);
    for (; received < kMessages; received++)
        REQUIRE(::recv(slow.fd(), frame.data(), frame.size(), MSG_WAITALL) == kFrame);
}

TEST_CASE("clients that ping but do not read the pongs hold up no callback")
{
    Server server({.settings = give_two_workers, .onmessage = echo, .bind = false, .start = false});
    // Only the last ping of each read is answered. A small send buffer, which accepted sockets
    // inherit, makes a few pongs too many for the kernel.
    const int listener = listen_with_send_buffer(4096);
    REQUIRE(libwebsock_bind_socket(server.context(), listener) == 0);
    server.start();
    std::vector<Client> deaf;
    for (size_t i = 0; i < kDeaf; i++) {
        deaf.emplace_back(server.port(),
                          Client::Options{.receive_buffer = 4096, .transport = Transport::plain});
        deaf.back().handshake();
    }
    const std::string ping = encode_frame(true, WS_OPCODE_PING, std::string(125, 'p'));
    unsigned long long sent = server.stats().bytes_in;
    for (int i = 0; i < 200; i++) {
        for (Client &client : deaf)
            client.send_raw(ping);
        sent += kDeaf * ping.size();
        REQUIRE(eventually([&] { return server.stats().bytes_in >= sent; }));
    }
    Client other(server.port(), {.transport = Transport::plain});
    other.handshake();
    other.send_text("still there?");
    CHECK(other.receive_text() == "still there?");
}

TEST_SUITE_END();
