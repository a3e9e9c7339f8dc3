// send_all_test.cpp: messages for all clients: their order among what else is sent, and what they
// cost while some do not read.
#include "tests/support/client.h"
#include "tests/support/server.h"

#include <cstdio>
#include <doctest/doctest.h>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

constexpr size_t kMiB = 1024 * 1024;

// Of this process, in bytes.
size_t private_memory()
{
    std::ifstream file("/proc/self/smaps_rollup");
    size_t bytes = 0;
    for (std::string line; std::getline(file, line);) {
        size_t kib = 0;
        if (std::sscanf(line.c_str(), "Private_%*[A-Za-z]: %zu kB", &kib) == 1)
            bytes += kib * 1024;
    }
    return bytes;
}

std::vector<Client> connect_deaf(Server &server, size_t count)
{
    std::vector<Client> clients;
    for (size_t i = 0; i < count; ++i) {
        clients.emplace_back(server.port(), Client::Options{.receive_buffer = 4096});
        clients.back().handshake();
    }
    server.events().wait(Kind::open, count);
    return clients;
}

} // namespace

TEST_CASE("a message for more clients than one thread serves reaches all of them, in order")
{
    constexpr size_t kClients = 300;
    Server server({.keep_handles = true});
    std::vector<Client> clients;
    for (size_t i = 0; i < kClients; ++i)
        clients.push_back(Client::open(server.port()));
    server.events().wait(Kind::open, kClients);
    for (int i = 0; i < 3; ++i) {
        CHECK(libwebsock_send_all_text(server.context(), "to all") == 0);
        for (size_t c = 0; c < kClients; ++c)
            CHECK(libwebsock_send_text(server.handle(c + 1), "to one") == 0);
    }
    size_t wrong = 0;
    for (Client &client : clients) {
        for (int i = 0; i < 3; ++i) {
            wrong += client.receive_text() != "to all";
            wrong += client.receive_text() != "to one";
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("what waits for a slow reader keeps its order, whatever it was sent by")
{
    Server server({.settings =
                       [](auto *context) {
                           context->max_queued_bytes = 64 * kMiB;
                           context->send_buffer_bytes = 64 * 1024;
                       },
                   .keep_handles = true});
    Client slow = std::move(connect_deaf(server, 1).front());
    libwebsock_client_state *const handle = server.handle();
    constexpr size_t kMessages = 400;
    const std::string padding(16 * 1024, '.');
    // Queued by others until a waiting send follows, which then is under way for long.
    auto sender = std::async(std::launch::async, [&] {
        size_t failed = 0;
        for (size_t i = 0; i < kMessages; ++i) {
            const std::string text = std::to_string(i) + padding;
            if (i % 100 == 99)
                failed += libwebsock_send_text(handle, text.c_str()) != 0;
            else if (i % 7 == 3)
                failed += libwebsock_queue_text(handle, text.data(), text.size()) != 0;
            else if (i % 50 == 20)
                failed += libwebsock_ping(handle) != 0 ||
                          libwebsock_send_all_text(server.context(), text.c_str()) != 0;
            else
                failed += libwebsock_send_all_text(server.context(), text.c_str()) != 0;
        }
        return failed + (libwebsock_close_with_reason(handle, WS_CLOSE_NORMAL, "the end") != 0);
    });
    CHECK(eventually([&] { return libwebsock_queued_bytes(handle) > 128 * 1024; }));
    size_t wrong = 0;
    for (size_t i = 0; i < kMessages;) {
        const Frame frame = slow.receive_frame();
        if (frame.opcode == WS_OPCODE_PING)
            continue;
        wrong += frame.payload != std::to_string(i++) + padding;
    }
    CHECK(wrong == 0);
    CHECK(slow.receive_frame().opcode == WS_OPCODE_CLOSE);
    CHECK(sender.get() == 0);
}

TEST_CASE("what callbacks queue keeps its order while others send to all")
{
    constexpr int kAsked = 1000;
    static const std::string padding(20 * 1024, '.'); // more than a batch gathers
    const auto answer = [](Scene &, libwebsock_client_state *client, libwebsock_message *msg) {
        const std::string small = "<" + std::string(msg->payload, msg->payload_len);
        const std::string large = ">" + small.substr(1) + padding;
        CHECK(libwebsock_queue_text(client, small.data(), small.size()) == 0);
        CHECK(libwebsock_queue_text(client, large.data(), large.size()) == 0);
    };
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64 * kMiB; },
                   .onmessage = answer,
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    const auto send_all = [&](const std::stop_token &stop) {
        while (!stop.stop_requested()) {
            if (libwebsock_queued_bytes(handle) < 64 * 1024) // the client is to keep up
                (void)libwebsock_send_all_text(server.context(), "to all");
        }
    };
    std::jthread one(send_all), other(send_all);
    size_t wrong = 0;
    for (int asked = 0; asked < kAsked; asked += 10) {
        for (int i = 0; i < 10; ++i)
            client.send_text(std::to_string(asked + i));
        for (int i = 0; i < 20;) {
            const std::string text = client.receive_text();
            if (text == "to all")
                continue;
            const std::string number = std::to_string(asked + i / 2);
            wrong += text != (i % 2 == 0 ? "<" + number : ">" + number + padding);
            ++i;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("a client that always has more to read is answered its pings all the same")
{
    Server server({.settings = [](auto *context) { context->send_buffer_bytes = 64 * 1024; },
                   .keep_handles = true});
    Client client = std::move(connect_deaf(server, 1).front());
    libwebsock_client_state *const handle = server.handle();
    const std::string chunk(16 * 1024, 'x');
    const auto fill = [&] {
        while (libwebsock_queued_bytes(handle) < kMiB)
            REQUIRE(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
    };
    fill();
    client.send_frame(true, WS_OPCODE_PING, "there?");
    size_t read = 0;
    for (; read < 1000 && client.receive_frame().opcode != WS_OPCODE_PONG; ++read)
        fill();
    CHECK(read < 1000);
}

TEST_CASE("a message that waits for many clients is in memory once")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64 * kMiB; }});
    std::vector<Client> deaf = connect_deaf(server, 50);
    const std::string chunk(kMiB, 'x');
    const size_t before = private_memory();
    for (int i = 0; i < 16; ++i)
        REQUIRE(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);
    CHECK(private_memory() < before + 400 * kMiB); // copies are 800 MiB; sanitizers need some, too
    size_t wrong = 0;
    for (int i = 0; i < 16; ++i)
        wrong += deaf.front().receive_frame().payload != chunk;
    CHECK(wrong == 0);
}
