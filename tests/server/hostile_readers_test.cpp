// hostile_readers_test.cpp: many clients that vanish or do not read while callbacks and other
// threads send to them, up to the server's end. Single ones are in flow_test.cpp and
// ending_test.cpp.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <exception>
#include <map>

using namespace test;

namespace {

// Runs function(i) for i from 0 to count - 1, on four threads.
void on_four_threads(size_t count, const std::function<void(size_t)> &function)
{
    std::vector<std::thread> threads;
    for (size_t first = 0; first < 4; first++)
        threads.emplace_back([=, &function] {
            for (size_t i = first; i < count; i += 4)
                function(i);
        });
    for (std::thread &thread : threads)
        thread.join();
}

// Leaves in the middle of a frame in one of several ways, or in an orderly one.
void leave(std::unique_ptr<Client> client, size_t way)
try {
    const std::string frame = encode_frame(true, WS_OPCODE_BINARY, std::string(1000, 'x'));
    if (way % 4 != 0)
        client->send_raw(frame + frame.substr(0, 500));
    switch (way % 4) {
    case 0:
        client->send_close(WS_CLOSE_NORMAL);
        client->drain();
        return;
    case 1:
        client->reset();
        return;
    case 2:
        client->half_close();
        client->drain();
        return;
    default:
        return; // the destructor closes the socket, with answers unread
    }
} catch (const std::exception &) {
    // The server was faster: it may have dropped a client that does not read.
}

} // namespace

TEST_CASE("two thousand clients that leave while everybody sends are each closed once")
{
    const size_t count = crowd(over_tls() ? 1000 : 2000, 300);
    Server server({.onmessage =
                       [](Scene &scene, auto *client, auto *msg) {
                           for (int i = 0; i < 5; i++)
                               echo(scene, client, msg);
                       },
                   .keep_handles = true});
    std::vector<std::unique_ptr<Client>> clients(count);
    on_four_threads(count, [&](size_t i) {
        clients[i] = std::make_unique<Client>(Client::open(server.port()));
    });
    server.handle(count);

    std::atomic<bool> over = false;
    const std::string text(500, '.');
    std::thread to_all([&] {
        while (!over)
            libwebsock_send_all_text(server.context(), text.c_str());
    });
    std::thread to_each([&] {
        for (size_t i = 0; !over; i++)
            libwebsock_send_text(server.handle(1 + i % count), text.c_str());
    });
    on_four_threads(count, [&](size_t i) { leave(std::move(clients[i]), i / 4); });
    server.events().wait(Kind::close, count);
    over = true;
    to_all.join();
    to_each.join();
    CHECK(eventually([&] { return server.stats().connections_open == 0; }));

    std::map<int, std::vector<Kind>> histories;
    for (const Event &event : server.events().all())
        if (event.kind == Kind::open || event.kind == Kind::close)
            histories[event.client].push_back(event.kind);
    CHECK(histories.size() == count);
    size_t wrong = 0;
    for (const auto &[client, kinds] : histories)
        wrong += kinds != std::vector{Kind::open, Kind::close};
    CHECK(wrong == 0);
    unsigned long long closed = 0;
    for (const unsigned long long of_code : server.stats().closed)
        closed += of_code;
    CHECK(closed == count);
}

TEST_CASE("a server stops in time although nobody reads what it sends")
{
    constexpr size_t kLazy = 8;
    std::atomic<size_t> given_up = 0;
    const std::string chunk(256 * 1024, 'x');
    const auto send_until_it_fails = [&](libwebsock_client_state *client) {
        int error = 0;
        while (error == 0)
            error = error_of(libwebsock_send_binary(client, chunk.data(), chunk.size()));
        given_up += error == ENOTCONN;
    };
    Server server({.settings =
                       [](auto *context) {
                           context->drain_timeout_ms = 300;
                           context->send_timeout_ms = context->close_timeout_ms = 60000;
                       },
                   .onmessage = [&](Scene &, auto *client, auto *) { send_until_it_fails(client); },
                   .keep_handles = true});
    std::vector<Client> lazy = open_many(kLazy, server.port(), {.receive_buffer = 4096});
    server.handle(kLazy);
    for (size_t i = 0; i < kLazy / 2; i++)
        lazy[i].send_text("send me everything"); // in a callback
    server.events().wait(Kind::message, kLazy / 2);
    // before or after the callback's
    std::thread sender([&] { send_until_it_fails(server.handle(1)); });
    // For those that no callback sends to: queued, up to their limit.
    for (int i = 0; i < 8; i++)
        CHECK(libwebsock_send_all_binary(server.context(), chunk.data(), chunk.size()) == 0);

    CHECK(server.stop_and_join() == 0);
    sender.join();
    CHECK(given_up == kLazy / 2 + 1);
    CHECK(server.events().count(Kind::close) == kLazy);
    CHECK(server.stats().connections_open == 0);
}
