// flow_test.cpp: who is held back when one side is slower than the other. A sender waits only
// for its own peer, a client only for its own callbacks.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>

using namespace test;

namespace {

constexpr size_t kMiB = 1u << 20;

// More than the kernel buffers of both sides hold, so a peer that does not read is noticed
// before this much has been sent.
constexpr size_t kMoreThanTheKernelTakes = 64 * kMiB;

} // namespace

TEST_CASE("a send to a peer that does not read fails in the end, and the peer is dropped")
{
    std::atomic<int> error = 0;
    std::atomic<int> error_afterwards = 0;
    Server server({.settings = [](auto *context) { context->send_timeout_ms = 200; },
                   .onmessage =
                       [&](Scene &, auto *client, auto *) {
                           std::string chunk(64 * 1024, 'x');
                           for (size_t sent = 0; sent < kMoreThanTheKernelTakes && error == 0;
                                sent += chunk.size())
                               error = error_of(
                                   libwebsock_send_binary(client, chunk.data(), chunk.size()));
                           error_afterwards = error_of(libwebsock_send_text(client, "late"));
                       }});
    Client lazy(server.port(), {.receive_buffer = 16384});
    lazy.handshake();
    Client other = Client::open(server.port());
    lazy.send_text("send me everything");

    Event close = server.events().wait(Kind::close);
    // Of a send that waits, or of the thread that writes what a callback has left, between two
    // sends.
    CHECK((error == ETIMEDOUT || error == ENOTCONN));
    CHECK(eventually([&] { return server.stats().send_timeouts == 1; }));
    CHECK(error_afterwards == ENOTCONN);
    CHECK(close.client == server.events().wait(Kind::message).client);
    CHECK(close.code == WS_CLOSE_DIRTY);
    CHECK(close.text != "");
    CHECK(server.log().has(kAnyLevel, {lazy.address()}));
    CHECK(libwebsock_send_all_text(server.context(), "alive") == 0);
    CHECK(other.receive_text() == "alive");
}

TEST_CASE("a peer that reads late gets everything within send_timeout_ms")
{
    constexpr size_t kMessages = 256;
    Server server({.onmessage = [](Scene &, auto *client, auto *) {
        std::string chunk(64 * 1024, 'x');
        for (size_t i = 0; i < kMessages; i++) {
            chunk[0] = static_cast<char>(i);
            libwebsock_send_binary(client, chunk.data(), chunk.size());
        }
    }});
    Client late(server.port(), {.receive_buffer = 16384});
    late.handshake();
    late.send_text("go");
    server.events().wait(Kind::message);
    size_t wrong = 0;
    for (size_t i = 0; i < kMessages; i++) {
        Frame frame = late.receive_frame();
        wrong += frame.payload.size() != 64 * 1024 || frame.payload[0] != static_cast<char>(i);
    }
    CHECK(wrong == 0);
}

TEST_CASE("send_all drops a client that does not read with 1008, and the others get everything")
{
    Server server({.settings = [](auto *context) {
        context->max_queued_bytes = 256 * 1024;
        context->close_timeout_ms = 200;
    }});
    Client lazy(server.port(), {.receive_buffer = 16384});
    lazy.handshake();
    server.events().wait(Kind::open, 1);
    std::vector<Client> readers;
    for (int i = 0; i < 3; i++)
        readers.push_back(Client::open(server.port()));
    server.events().wait(Kind::open, 4);

    std::string chunk(64 * 1024, 'x');
    size_t wrong = 0;
    for (size_t sent = 0; sent < kMoreThanTheKernelTakes && server.events().count(Kind::close) == 0;
         sent += chunk.size()) {
        REQUIRE(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
        for (Client &reader : readers)
            wrong += reader.receive_frame().payload != chunk;
    }
    CHECK(wrong == 0);
    CHECK(server.log().has(kAnyLevel, {lazy.address()}));
    Event close = server.events().wait(Kind::close);
    CHECK(close.client == 1);
    CHECK(close.code == WS_CLOSE_DIRTY);
    lazy.drain();
    CHECK(libwebsock_send_all_text(server.context(), "still here") == 0);
    for (Client &reader : readers)
        CHECK(reader.receive_text() == "still here");
}

TEST_CASE("what send_all queued for a slow reader arrives when it reads")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64 * kMiB; }});
    Client slow(server.port(), {.receive_buffer = 16384});
    slow.handshake();
    server.events().wait(Kind::open);
    constexpr size_t kMessages = 200;
    std::string chunk(64 * 1024, 'x');
    for (size_t i = 0; i < kMessages; i++) {
        chunk[0] = static_cast<char>(i);
        REQUIRE(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < kMessages; i++) {
        Frame frame = slow.receive_frame();
        wrong += frame.payload.size() != chunk.size() || frame.payload[0] != static_cast<char>(i);
    }
    CHECK(wrong == 0);
}

TEST_CASE("a client that sends faster than its callbacks run is held back")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64 * 1024; },
                   .onmessage =
                       [](Scene &scene, auto *client, auto *msg) {
                           scene.gate.wait();
                           if (std::string(msg->payload) == "the end")
                               libwebsock_send_text(client, "everything is there");
                       }});
    Client client(server.port(), {.send_buffer = 64 * 1024});
    client.handshake();
    std::string padding(1000, '.');
    std::string unsent;
    size_t messages = 0;
    size_t sent = 0;
    // Until the socket accepts nothing for a while. A slow server ends this early, which makes
    // the test weaker but not wrong.
    while (sent < kMoreThanTheKernelTakes &&
           client.writable_within(std::chrono::milliseconds(300))) {
        if (unsent.empty())
            unsent = encode_frame(true, WS_OPCODE_TEXT, std::to_string(messages++) + padding);
        size_t taken = client.send_now(unsent);
        unsent.erase(0, taken);
        sent += taken;
    }
    CHECK(sent < kMoreThanTheKernelTakes);
    CHECK(server.stats().bytes_in < 1 * kMiB); // max_queued_bytes, and one or two reads

    server.gate().open();
    client.send_raw(unsent + encode_frame(true, WS_OPCODE_TEXT, "the end"));
    CHECK(client.receive_text() == "everything is there");
    std::vector<Event> received = server.events().all(Kind::message);
    REQUIRE(received.size() == messages + 1);
    size_t wrong = 0;
    for (size_t i = 0; i < messages; i++)
        wrong += received[i].text != std::to_string(i) + padding;
    CHECK(wrong == 0);
}

TEST_CASE("a message larger than max_queued_bytes is delivered all the same")
{
    Server server(
        {.settings = [](auto *context) { context->max_queued_bytes = 1000; }, .onmessage = echo});
    Client client = Client::open(server.port());
    std::string large(100000, 'x');
    for (int i = 0; i < 3; i++)
        client.send_binary(large);
    for (int i = 0; i < 3; i++) {
        bool same = client.receive_frame().payload == large;
        CHECK(same);
    }
}

TEST_CASE("one client's blocked callbacks hold back nobody else")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 1000; },
                   .onmessage =
                       [](Scene &scene, auto *client, auto *msg) {
                           if (std::string(msg->payload).substr(0, 5) == "block")
                               scene.gate.wait();
                           echo(scene, client, msg);
                       }});
    Client blocked = Client::open(server.port());
    for (int i = 0; i < 100; i++)
        blocked.send_text("block " + std::string(1000, '.'));
    server.events().wait(Kind::message);
    Client other = Client::open(server.port());
    other.send_text("go on");
    CHECK(other.receive_text() == "go on");
}

TEST_CASE("callbacks too short for the monitor to notice get more workers as well")
{
    constexpr size_t kClients = 100, kMessages = 40, kCompany = 20;
    std::atomic<size_t> at_once = 0, most = 0;
    Server server({.onmessage = [&](Scene &, auto *, auto *) {
        const size_t now = ++at_once;
        for (size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        // simulates a short block, not a wait
        const timespec pause{.tv_sec = 0, .tv_nsec = 500'000};
        nanosleep(&pause, nullptr);
        --at_once;
    }});
    // A pong before each text, so that no text is the first event of its batch.
    std::string batch;
    for (size_t i = 0; i < kMessages; i++)
        batch += encode_frame(true, WS_OPCODE_PONG, "") + encode_frame(true, WS_OPCODE_TEXT, "x");
    std::vector<Client> clients;
    for (size_t i = 0; i < kClients; i++)
        clients.push_back(Client::open(server.port()));
    for (Client &client : clients)
        client.send_raw(batch);
    server.events().wait(Kind::message, kClients * kMessages);
    CHECK(most >= kCompany);
}

TEST_CASE("callbacks that wait for another client to read get more workers")
{
    // More of them than processors.
    const size_t waiting = std::thread::hardware_concurrency() + 1;
    libwebsock_client_state *deaf_one = nullptr;
    Server server({.settings = [](auto *context) { context->drain_timeout_ms = 200; },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *msg) {
                           if (std::string(msg->payload) != "feed it")
                               return echo(scene, client, msg);
                           const std::string chunk(kMiB, 'x');
                           while (libwebsock_send_binary(deaf_one, chunk.data(), chunk.size()) == 0)
                               continue;
                       },
                   .keep_handles = true});
    Client deaf(server.port(), {.receive_buffer = 4096});
    deaf.handshake();
    deaf_one = server.handle();
    std::vector<Client> feeders;
    for (size_t i = 0; i < waiting; i++) {
        feeders.push_back(Client::open(server.port()));
        feeders.back().send_text("feed it");
    }
    CHECK(eventually([&] { return server.stats().workers_busy >= waiting; }));
    Client other = Client::open(server.port());
    other.send_text("still there?");
    CHECK(other.receive_text() == "still there?");
    CHECK(server.stats().workers_busy >= waiting); // they still wait
}

TEST_CASE("the last of what is sent to all arrives, whenever the socket fills up")
{
    // One TLS flight per message, so that a whole one can be stuck behind what was written.
    const std::string chunk(60 * 1024, 'x');
    constexpr size_t kMostChunks = 80;
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64 * kMiB; }});
    for (size_t count = 1; count <= kMostChunks; count++) {
        CAPTURE(count);
        Client client(server.port(), {.receive_buffer = 16384});
        client.handshake();
        server.events().wait(Kind::open, count);
        for (size_t i = 0; i < count; i++)
            REQUIRE(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
        for (size_t i = 0; i < count; i++)
            REQUIRE(client.receive_past_pings().payload.size() == chunk.size());
        client.send_close(1000);
        client.receive_close();
        server.events().wait(Kind::close, count);
    }
}
