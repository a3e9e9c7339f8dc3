// later_test.cpp: what runs later: posts and timers, of a client and of the program.
#include "running.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace test;

TEST_CASE("a post runs among the client's events, with the client or without")
{
    websock::Server server;
    Told<websock::Client> opened;
    server.on_open([&](const websock::Client &client) { opened.tell(client); });
    Running running(server);
    Client client = running.connect();
    const websock::Client kept = opened.get();
    kept.post([](const websock::Client &self) { self.send("one"); });
    kept.post([kept, text = std::make_unique<std::string>("two")] { kept.send(*text); });
    CHECK(client.receive_text() == "one");
    CHECK(client.receive_text() == "two");
}

TEST_CASE("what a post owns is freed once it has run, or cannot run any more")
{
    websock::Server server;
    const auto owned = std::make_shared<int>(0);
    Told<websock::Client> opened;
    Told<bool> closed;
    server.on_open([&](const websock::Client &client) { opened.tell(client); });
    server.on_close(
        [&](const websock::Client &, const websock::CloseInfo &) { closed.tell(true); });
    {
        Running running(server);
        Client client = running.connect();
        const websock::Client kept = opened.get();
        kept.post([owned](const websock::Client &self) { self.send("ran"); });
        CHECK(client.receive_text() == "ran");
        close_and_wait(client);
        CHECK(closed.get());
        CHECK(kept.try_post([owned] {}) == std::errc::not_connected);
        CHECK(thrown_by([&] { kept.post([owned] {}); }) == ENOTCONN);
    }
    CHECK(owned.use_count() == 1);
}

TEST_CASE("an exception out of a post is logged and closes with 1011")
{
    websock::Server server;
    Lines log(server);
    server.on_open([](const websock::Client &client) {
        client.post([] { throw std::runtime_error("not now"); });
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(log.has("what was posted threw an exception: not now"));
}

TEST_CASE("a client's timer runs once, or again and again until it is cancelled")
{
    websock::Server server;
    server.on_message([](const websock::Client &client, std::string_view text) {
        if (text == "after")
            client.after(1ms, [](const websock::Client &self) { self.send("once"); });
        if (text == "every")
            client.emplace<websock::Timer>(
                client.every(1ms, [count = 0](const websock::Client &self) mutable {
                    self.send(std::to_string(++count));
                    if (count == 3)
                        self.post([](const websock::Client &again) {
                            again.send(again.state<websock::Timer>().cancel() ? "end" : "?");
                        });
                }));
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("after");
    CHECK(client.receive_text() == "once");
    client.send_text("every");
    std::string text;
    int turns = 0;
    while ((text = client.receive_text()) != "end")
        CHECK(text == std::to_string(++turns));
    CHECK(turns >= 3);
}

TEST_CASE("the program's timers run without a client")
{
    websock::Server server;
    Told<bool> once;
    std::atomic<int> turns{0};
    Told<bool> thrice;
    server.after(0ms, [&] { once.tell(true); });
    const websock::Timer timer = server.every(1ms, [&] {
        if (++turns == 3)
            thrice.tell(true);
    });
    Running running(server);
    CHECK(once.get());
    CHECK(thrice.get());
    CHECK(timer);
    CHECK(timer.cancel());
    CHECK_FALSE(timer.cancel());
}

TEST_CASE("an exception out of a timer of the program is logged, and it goes on")
{
    websock::Server server;
    Lines log(server);
    std::atomic<int> turns{0};
    Told<bool> twice;
    server.every(1ms, [&] {
        if (++turns == 2)
            twice.tell(true);
        throw std::runtime_error("not now");
    });
    Running running(server);
    CHECK(log.has("a timer threw an exception: not now"));
    CHECK(twice.get());
}

TEST_CASE("a timer that cannot be started says why, and keeps nothing")
{
    websock::Server server;
    const auto owned = std::make_shared<int>(0);
    CHECK(thrown_by([&] { server.after(-1ms, [owned] {}); }) == EINVAL);
    CHECK(thrown_by([&] { server.every(0ms, [owned] {}); }) == EINVAL);
    websock::Timer timer;
    CHECK(server.try_after(
              -1ms, [owned] {}, timer) == std::errc::invalid_argument);
    CHECK(thrown_by([&] { server.after(-1ms, [owned](websock::Timer) {}); }) == EINVAL);
    CHECK_FALSE(timer);
    CHECK_FALSE(timer.cancel());
    CHECK(websock::Client().try_post([owned] {}) == std::errc::invalid_argument);
    CHECK(owned.use_count() == 1);
}

TEST_CASE("a client's timer gets itself, alone or after its client, and can cancel itself")
{
    websock::Server server;
    server.on_message([](const websock::Client &client, std::string_view text) {
        if (text == "with its client")
            client.every(1ms, [n = 0](const websock::Client &self, websock::Timer timer) mutable {
                self.send(std::to_string(++n));
                if (n == 3)
                    self.send(timer.cancel() ? "end" : "?");
            });
        if (text == "alone")
            client.after(0ms, [client](websock::Timer timer) {
                client.send(timer && !timer.cancel() ? "runs for the last time" : "?");
            });
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("with its client");
    for (const std::string text : {"1", "2", "3", "end"})
        CHECK(client.receive_text() == text);
    client.send_text("alone");
    CHECK(client.receive_text() == "runs for the last time");
}

TEST_CASE("the program's timer gets itself, and what it owns is freed once it has cancelled itself")
{
    websock::Server server;
    std::atomic<int> turns{0};
    const auto freed = std::make_shared<Told<bool>>();
    std::shared_ptr<int> owned(new int(0), [freed](const int *number) {
        delete number;
        freed->tell(true);
    });
    server.every(1ms, [&turns, owned = std::move(owned)](auto timer) {
        if (++turns == 3)
            timer.cancel();
    });
    Running running(server);
    CHECK(freed->get());
    CHECK(turns == 3);
}

TEST_CASE("timers that are due at once know their own number, however many threads start them")
{
    constexpr int kThreads = 4;
    constexpr int kTimers = 500;
    websock::Server server;
    std::atomic<int> left{kThreads * kTimers};
    std::atomic<int> mistaken{0};
    Told<bool> done;
    const auto last_one = [&](websock::Timer timer) {
        if (!timer || timer.cancel()) // it runs for the last time
            ++mistaken;
        if (--left == 0)
            done.tell(true);
    };
    Running running(server);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < kTimers; ++n)
                server.after(0ms, last_one);
        });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(done.get());
    CHECK(mistaken == 0);
}

TEST_CASE("what a timer owns is freed with its client, or with the server")
{
    const auto of_client = std::make_shared<int>(0);
    const auto of_server = std::make_shared<int>(0);
    {
        websock::Server server;
        Told<bool> opened;
        server.on_open([&](const websock::Client &client) {
            client.after(1h, [of_client] {});
            opened.tell(true);
        });
        server.every(1h, [of_server] {});
        Running running(server);
        Client client = running.connect();
        CHECK(opened.get());
        close_and_wait(client);
    }
    CHECK(of_client.use_count() == 1);
    CHECK(of_server.use_count() == 1);
}
