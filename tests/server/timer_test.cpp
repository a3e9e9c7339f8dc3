// timer_test.cpp: timers of clients and of the program: when they run, and how they end.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

struct Ticks {
    std::atomic<int> runs{0};
    std::atomic<int> frees{0};
    std::atomic<libwebsock_client_state *> client{nullptr};
    Gate gate;
    std::mutex mutex;
    std::vector<Clock::time_point> times;

    std::vector<Clock::time_point> all()
    {
        std::lock_guard<std::mutex> lock(mutex);
        return times;
    }
};

void tick(libwebsock_client_state *client, void *arg)
{
    auto &ticks = *static_cast<Ticks *>(arg);
    ticks.client = client;
    {
        std::lock_guard<std::mutex> lock(ticks.mutex);
        ticks.times.push_back(Clock::now());
    }
    ++ticks.runs;
}

void tick_and_wait(libwebsock_client_state *client, void *arg)
{
    tick(client, arg);
    static_cast<Ticks *>(arg)->gate.wait();
}

// A stop does not wait for clients that do not answer the Close.
void no_drain(libwebsock_context *context) { context->close_timeout_ms = 0; }

// Whether its connection ends in time.
bool is_gone(libwebsock_client_state *client)
{
    pollfd gone{.fd = libwebsock_gone_fd(client), .events = POLLIN, .revents = 0};
    return poll(&gone, 1, 20'000) == 1;
}

void free_ticks(void *arg) { ++static_cast<Ticks *>(arg)->frees; }

} // namespace

TEST_CASE("a timer of a client runs once, not before its time, with the client")
{
    Ticks ticks;
    Server server({.settings = no_drain, .keep_handles = true});
    Client client = Client::open(server.port());
    const Clock::time_point began = Clock::now();
    REQUIRE(libwebsock_after(server.context(), server.handle(), 30, tick, &ticks) != 0);
    CHECK(eventually([&] { return ticks.runs == 1; }));
    CHECK(ticks.all().front() - began >= std::chrono::milliseconds(30));
    CHECK(ticks.client == server.handle());
    CHECK(server.stop_and_join() == 0);
    CHECK(ticks.runs == 1);
}

TEST_CASE("a timer of the program runs without a client, also if it was set before the server ran")
{
    Ticks ticks;
    Server server({.start = false});
    REQUIRE(libwebsock_after(server.context(), nullptr, 0, tick, &ticks) != 0);
    server.start();
    CHECK(eventually([&] { return ticks.runs == 1; }));
    CHECK(ticks.client == nullptr);
}

TEST_CASE("timers run in the order of their times")
{
    static std::mutex mutex;
    static std::string order;
    order.clear();
    const auto note = [](libwebsock_client_state *, void *arg) {
        std::lock_guard<std::mutex> lock(mutex);
        order += static_cast<const char *>(arg);
    };
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    char a[] = "a", b[] = "b", c[] = "c";
    REQUIRE(libwebsock_after(server.context(), server.handle(), 120, note, c) != 0);
    REQUIRE(libwebsock_after(server.context(), server.handle(), 60, note, b) != 0);
    REQUIRE(libwebsock_after(server.context(), server.handle(), 0, note, a) != 0);
    CHECK(eventually([] {
        std::lock_guard<std::mutex> lock(mutex);
        return order == "abc";
    }));
}

TEST_CASE("every goes on until it is cancelled, also in its own turn")
{
    static std::atomic<unsigned long long> number;
    static std::atomic<int> turns, cancelled;
    turns = 0;
    cancelled = -1;
    number = 0;
    Server server({.settings = no_drain, .keep_handles = true});
    Client client = Client::open(server.port());
    number = libwebsock_every(
        server.context(), server.handle(), 2,
        [](auto *handle, void *) {
            if (++turns == 3)
                cancelled = error_of(libwebsock_cancel(handle->ctx, number));
        },
        nullptr);
    REQUIRE(number != 0);
    CHECK(eventually([] { return cancelled == 0; }));
    CHECK(error_of(libwebsock_cancel(server.context(), number)) == ENOENT);
    CHECK(server.stop_and_join() == 0);
    CHECK(turns == 3);
}

// A turn takes more than half of the time to the next. If each were reckoned from the end of the
// one before it, 20 turns could not take less than 20 * 8 ms; a busy machine may need some
// attempts.
TEST_CASE("every does not drift")
{
    using std::chrono::milliseconds;
    Server server;
    const auto twenty_turns = [&] {
        Ticks ticks;
        const auto tick_for_3_ms = [](libwebsock_client_state *client, void *arg) {
            const Clock::time_point end = Clock::now() + milliseconds(3);
            tick(client, arg);
            while (Clock::now() < end) {
            }
        };
        const auto number = libwebsock_start_timer(server.context(), nullptr, 0, 5, tick_for_3_ms,
                                                   &ticks, free_ticks);
        CHECK(eventually([&] { return ticks.runs > 20; }));
        CHECK(libwebsock_cancel(server.context(), number) == 0);
        CHECK(eventually([&] { return ticks.frees == 1; }));
        return ticks.all()[20] - ticks.all()[0];
    };
    CHECK(eventually([&] { return twenty_turns() < milliseconds(20 * 5 + 30); }));
}

// The first turn takes one and a half of the times to the next. If the others were reckoned from
// its end, the second could not come before two and a half; a busy machine may need some attempts.
TEST_CASE("after a turn that was left out, every goes on where it would have been")
{
    using std::chrono::milliseconds;
    Server server;
    const auto two_turns = [&] {
        Ticks ticks;
        const auto tick_for_30_ms = [](libwebsock_client_state *client, void *arg) {
            const Clock::time_point end = Clock::now() + milliseconds(30);
            tick(client, arg);
            while (Clock::now() < end) {
            }
        };
        const auto number = libwebsock_start_timer(server.context(), nullptr, 0, 20, tick_for_30_ms,
                                                   &ticks, free_ticks);
        CHECK(eventually([&] { return ticks.runs >= 2; }));
        CHECK(libwebsock_cancel(server.context(), number) == 0);
        CHECK(eventually([&] { return ticks.frees == 1; }));
        return ticks.all()[1] - ticks.all()[0];
    };
    CHECK(eventually([&] { return two_turns() < milliseconds(48); }));
}

TEST_CASE("a turn that is due while the one before it runs is left out")
{
    Ticks ticks;
    Server server({.settings = no_drain, .keep_handles = true});
    Client client = Client::open(server.port());
    const auto number =
        libwebsock_every(server.context(), server.handle(), 1, tick_and_wait, &ticks);
    REQUIRE(number != 0);
    CHECK(eventually([&] { return ticks.runs == 1; }));
    // Other timers go on, and many turns of the first would be due by the time this has run.
    Ticks others;
    REQUIRE(libwebsock_after(server.context(), nullptr, 30, tick, &others) != 0);
    CHECK(eventually([&] { return others.runs == 1; }));
    CHECK(ticks.runs == 1);
    CHECK(libwebsock_cancel(server.context(), number) == 0);
    ticks.gate.open();
    CHECK(server.stop_and_join() == 0);
    CHECK(ticks.runs == 1);
}

TEST_CASE("a timer of the program that blocks holds up no other")
{
    Ticks blocked, others;
    Server server;
    for (int i = 0; i < 8; ++i)
        REQUIRE(libwebsock_after(server.context(), nullptr, 0, tick_and_wait, &blocked) != 0);
    CHECK(eventually([&] { return blocked.runs == 8; }));
    REQUIRE(libwebsock_after(server.context(), nullptr, 1, tick, &others) != 0);
    CHECK(eventually([&] { return others.runs == 1; }));
    blocked.gate.open();
}

TEST_CASE("a cancelled timer does not run, and its argument is freed by then")
{
    Ticks ticks;
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    const auto number = libwebsock_start_timer(server.context(), server.handle(), 60'000, 0, tick,
                                               &ticks, free_ticks);
    REQUIRE(number != 0);
    CHECK(libwebsock_cancel(server.context(), number) == 0);
    CHECK(ticks.frees == 1);
    CHECK(error_of(libwebsock_cancel(server.context(), number)) == ENOENT);
    CHECK(ticks.runs == 0);
}

TEST_CASE("a timer that is due but waits behind other events can still be cancelled")
{
    Ticks ticks, later;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    const auto number =
        libwebsock_start_timer(server.context(), server.handle(), 0, 0, tick, &ticks, free_ticks);
    REQUIRE(number != 0);
    CHECK(eventually([&] { return server.stats().events_queued == 1; }));
    CHECK(libwebsock_cancel(server.context(), number) == 0);
    REQUIRE(libwebsock_after(server.context(), server.handle(), 0, tick, &later) != 0);
    server.gate().open();
    CHECK(eventually([&] { return later.runs == 1; }));
    CHECK(ticks.runs == 0);
    CHECK(ticks.frees == 1);
}

TEST_CASE("timers that are set and cancelled while their client's events wait leave nothing behind")
{
    constexpr int kTimers = 1000;
    Ticks ticks;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    std::vector<unsigned long long> numbers;
    for (int i = 0; i < kTimers; ++i)
        numbers.push_back(libwebsock_start_timer(server.context(), server.handle(), 0, 0, tick,
                                                 &ticks, free_ticks));
    CHECK(eventually([&] { return server.stats().events_queued == kTimers; }));
    for (const unsigned long long number : numbers)
        CHECK(libwebsock_cancel(server.context(), number) == 0);
    CHECK(ticks.frees == kTimers);
    CHECK(server.stats().events_queued == 0);
    server.gate().open();
    CHECK(ticks.runs == 0);
}

TEST_CASE("a timer that is due for a client that has left waits for its end, and is freed then")
{
    Ticks ticks, afterwards;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    libwebsock_client_state *const handle = server.handle();
    for (const int every_ms : {0, 1})
        REQUIRE(libwebsock_start_timer(server.context(), handle, 100, every_ms, tick, &ticks,
                                       free_ticks) != 0);
    client.reset();
    CHECK(is_gone(handle));
    // When this one has run, the others are due.
    REQUIRE(libwebsock_after(server.context(), nullptr, 101, tick, &afterwards) != 0);
    CHECK(eventually([&] { return afterwards.runs == 1; }));
    server.gate().open();
    server.events().wait(Kind::close);
    CHECK(server.stop_and_join() == 0);
    CHECK(ticks.runs == 0);
    CHECK(ticks.frees == 2);
}

TEST_CASE("a timer that runs for the last time cannot be cancelled")
{
    Ticks ticks;
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    const auto number =
        libwebsock_after(server.context(), server.handle(), 0, tick_and_wait, &ticks);
    CHECK(eventually([&] { return ticks.runs == 1; }));
    CHECK(error_of(libwebsock_cancel(server.context(), number)) == ENOENT);
    ticks.gate.open();
}

TEST_CASE("the timers of a client end with it, before onclose")
{
    static Ticks ticks;
    ticks.frees = 0;
    static std::atomic<int> freed_at_onclose;
    Server server({.onclose = [](Scene &, auto *) { freed_at_onclose = ticks.frees.load(); },
                   .keep_handles = true});
    {
        Client client = Client::open(server.port());
        for (int every : {0, 60'000})
            REQUIRE(libwebsock_start_timer(server.context(), server.handle(), 60'000, every, tick,
                                           &ticks, free_ticks) != 0);
    }
    server.events().wait(Kind::close);
    CHECK(server.stop_and_join() == 0);
    CHECK(freed_at_onclose == 2);
    CHECK(ticks.runs == 0);
    CHECK(libwebsock_after(server.context(), server.handle(), 0, tick, &ticks) == 0);
    CHECK(errno == ENOTCONN);
}

TEST_CASE("a timer that waits behind other events is freed, and not run, if its client is cut off")
{
    for (const int every_ms : {0, 1}) {
        CAPTURE(every_ms);
        Ticks ticks;
        Gate due;
        std::atomic<int> freed_before_onclose{0};
        Server server(
            {.onopen =
                 [&](Scene &, auto *client) {
                     CHECK(libwebsock_start_timer(client->ctx, client, 0, every_ms, tick, &ticks,
                                                  free_ticks) != 0);
                     // Once the second has been called, the first one waits, too.
                     CHECK(libwebsock_after(
                               client->ctx, nullptr, 1,
                               [](auto *, void *gate) { static_cast<Gate *>(gate)->open(); },
                               &due) != 0);
                     CHECK(due.wait());
                     CHECK(libwebsock_abort(client, nullptr) == 0);
                 },
             .onclose = [&](Scene &, auto *) { freed_before_onclose = ticks.frees.load(); }});
        Client client = Client::open(server.port());
        server.events().wait(Kind::close);
        CHECK(eventually([&] { return freed_before_onclose == 1; }));
        CHECK(ticks.runs == 0);
    }
}

TEST_CASE(
    "a timer that is set while the 101 is written ends with a client that leaves before it is")
{
    Ticks ticks;
    std::atomic<bool> is_set{false};
    std::thread setter;
    {
        Server server({.onrequest = [&](Scene &, auto *client, auto *) {
            // More than the system takes.
            const std::string large(1 << 20, 'x');
            for (int i = 0; i < 8; ++i)
                CHECK(libwebsock_add_response_header(client, "X-Large", large.c_str()) == 0);
            setter = std::thread([&, kept = libwebsock_retain(client)] {
                is_set = eventually([&] {
                    return libwebsock_start_timer(kept->ctx, kept, 300, 0, tick, &ticks,
                                                  free_ticks) != 0;
                });
                libwebsock_release(kept);
            });
            return 0;
        }});
        Client client(server.port(), {.receive_buffer = 4096});
        client.send_raw(upgrade_request());
        CHECK(eventually([&] { return is_set.load(); }));
        client.reset();
        setter.join();
        CHECK(eventually([&] { return ticks.frees == 1; }));
    }
    CHECK(ticks.runs == 0);
}

TEST_CASE("the program's timers end with the server, and a context that never served frees them")
{
    Ticks ticks;
    SUBCASE("served")
    {
        Server server;
        REQUIRE(libwebsock_start_timer(server.context(), nullptr, 60'000, 1, tick, &ticks,
                                       free_ticks) != 0);
        CHECK(server.stop_and_join() == 0);
        CHECK(ticks.frees == 1);
        CHECK(libwebsock_after(server.context(), nullptr, 0, tick, &ticks) == 0);
        CHECK(errno == ESHUTDOWN);
    }
    SUBCASE("never served")
    {
        libwebsock_context *context = libwebsock_init(nullptr, nullptr, 0);
        REQUIRE(libwebsock_start_timer(context, nullptr, 0, 1, tick, &ticks, free_ticks) != 0);
        libwebsock_free(context);
        CHECK(ticks.frees == 1);
    }
    CHECK(ticks.runs == 0);
}

TEST_CASE("what cannot be a timer is refused")
{
    Ticks ticks;
    Server server({.keep_handles = true});
    Server other;
    Client client = Client::open(server.port());
    libwebsock_context *const context = server.context();
    const auto refusal = [](unsigned long long number) { return number == 0 ? errno : 0; };
    CHECK(refusal(libwebsock_after(nullptr, nullptr, 1, tick, &ticks)) == EINVAL);
    CHECK(refusal(libwebsock_after(context, nullptr, 1, nullptr, &ticks)) == EINVAL);
    CHECK(refusal(libwebsock_after(context, nullptr, -1, tick, &ticks)) == EINVAL);
    CHECK(refusal(libwebsock_every(context, nullptr, 0, tick, &ticks)) == EINVAL);
    CHECK(refusal(libwebsock_after(other.context(), server.handle(), 1, tick, &ticks)) == EINVAL);
    CHECK(error_of(libwebsock_cancel(nullptr, 1)) == EINVAL);
    CHECK(error_of(libwebsock_cancel(context, 0)) == ENOENT);
    CHECK(error_of(libwebsock_cancel(context, 12345)) == ENOENT);
    CHECK(ticks.runs == 0);
}

TEST_CASE("a number is not used again")
{
    Ticks ticks;
    Server server;
    const auto first = libwebsock_after(server.context(), nullptr, 60'000, tick, &ticks);
    CHECK(libwebsock_cancel(server.context(), first) == 0);
    const auto second = libwebsock_after(server.context(), nullptr, 60'000, tick, &ticks);
    CHECK(first != second);
    CHECK(error_of(libwebsock_cancel(server.context(), first)) == ENOENT);
    CHECK(libwebsock_cancel(server.context(), second) == 0);
}

TEST_CASE("an exception out of a timer of the program is logged, and the server goes on")
{
    Server server({.onmessage = echo});
    REQUIRE(libwebsock_after(
                server.context(), nullptr, 0,
                [](auto *, void *) { throw std::runtime_error("late trouble"); }, nullptr) != 0);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"a timer threw", "late trouble"}));
    Client client = Client::open(server.port());
    client.send_text("x");
    CHECK(client.receive_text() == "x");
}

TEST_CASE("a hundred thousand timers are set, cancelled and run while clients come and go")
{
    constexpr int kTimers = 100'000;
    Ticks ticks;
    Server server({.onmessage = echo, .keep_handles = true});
    std::vector<unsigned long long> numbers;
    for (int i = 0; i < kTimers; ++i)
        numbers.push_back(libwebsock_start_timer(server.context(), nullptr, 600'000 + i % 1000, 0,
                                                 tick, &ticks, free_ticks));
    std::thread canceller([&] {
        for (size_t i = 0; i < numbers.size(); i += 2)
            (void)libwebsock_cancel(server.context(), numbers[i]);
    });
    for (int i = 0; i < 5; ++i) {
        Client client = Client::open(server.port());
        for (int n = 0; n < 100; ++n)
            (void)libwebsock_after(server.context(), server.handle(static_cast<size_t>(i) + 1),
                                   n % 3, tick, &ticks);
        client.send_text("x");
        CHECK(client.receive_text() == "x");
    }
    canceller.join();
    CHECK(ticks.frees == kTimers / 2);
    CHECK(server.stop_and_join() == 0);
    CHECK(ticks.frees == kTimers);
}
