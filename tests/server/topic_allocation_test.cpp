// topic_allocation_test.cpp: each allocation of subscribing, publishing and queueing fails once, in
// turn. A call does all it is to do, or nothing, and says which. Connections' allocations are in
// allocation_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>

using namespace test;

namespace {

// Runs it in a thread of its own, since the test's own allocations do not fail, and nor do those of
// the library's threads, which a connection does not survive. 0 or errno.
int call_with_failing(size_t nth, bool &has_failed, const std::function<int()> &call)
{
    int error = -1;
    Gate begun;
    Gate go;
    Gate done;
    Gate end;
    std::thread thread([&] {
        choose_this_thread();
        begun.open();
        go.wait();
        error = error_of(call());
        done.open();
        end.wait();
    });
    CHECK(begun.wait());
    {
        const FailingAllocations failing(nth, Failing::one_of_chosen);
        go.open();
        CHECK(done.wait());
        has_failed = failing.have_begun();
    }
    end.open();
    thread.join();
    return error;
}

std::atomic<unsigned long long> told;

void set_up(libwebsock_context *context)
{
    told = 0;
    context->onlog = [](libwebsock_context *, int, const char *) {};
    context->onpublished = [](libwebsock_context *, const libwebsock_publication *) { ++told; };
}

} // namespace

TEST_CASE("each allocation of a publication may fail: it is in the log, or ENOMEM says that not")
{
    // Without a subscriber nothing else allocates meanwhile.
    size_t failures = 0;
    bool has_failed = true;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        Server server({.settings = set_up});
        const Client client = Client::open(server.port()); // so that the server has begun
        server.events().wait(Kind::open);
        libwebsock_context *const context = server.context();
        CHECK(publish(context, {.text = "before", .id = "1", .key = "k"}) == 0);
        const int error = call_with_failing(nth, has_failed, [&] {
            return publish(context, {.text = "this", .id = "2", .key = "k2"});
        });
        CHECK((error == 0 || error == ENOMEM));
        failures += error == ENOMEM;
        libwebsock_topic_statistics stats{};
        stats.size = sizeof stats;
        CHECK(libwebsock_topic_stats(context, "room", &stats) == 0);
        CHECK(stats.messages == (error == 0 ? 2u : 1u));
        CHECK(server.stats().publications == stats.messages);
        CHECK(eventually([&] { return told >= stats.messages; }));
        CHECK(told == stats.messages);
        CHECK(publish(context, {.text = "after", .id = "3", .key = "k3"}) == 0);
        CHECK(libwebsock_topic_stats(context, "room", &stats) == 0);
        CHECK(stats.offset == stats.messages);
    }
    CHECK(failures >= 2); // or none has failed
}

TEST_CASE("each allocation of a topic's first publication may fail")
{
    size_t failures = 0;
    bool has_failed = true;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        Server server({.settings = set_up});
        const Client client = Client::open(server.port()); // so that the server has begun
        server.events().wait(Kind::open);
        libwebsock_context *const context = server.context();
        const int error =
            call_with_failing(nth, has_failed, [&] { return publish(context, {.text = "this"}); });
        CHECK((error == 0 || error == ENOMEM));
        failures += error == ENOMEM;
        CHECK(server.stats().publications == (error == 0 ? 1u : 0u));
        CHECK(publish(context, {.text = "after"}) == 0);
        libwebsock_topic_statistics stats{};
        stats.size = sizeof stats;
        CHECK(libwebsock_topic_stats(context, "room", &stats) == 0);
        CHECK(stats.messages == (error == 0 ? 2u : 1u));
    }
    CHECK(failures >= 3);
}

TEST_CASE("each allocation of a subscription may fail: the client is in, or it is not")
{
    // With TLS, to write something allocates, too, and when that fails the connection ends.
    const size_t history = over_tls() ? 0 : 1;
    size_t failures = 0;
    bool has_failed = true;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        Server server({.settings = set_up, .keep_handles = true});
        libwebsock_context *const context = server.context();
        CHECK(publish(context, {.text = "before"}) == 0);
        Client client = Client::open(server.port());
        libwebsock_client_state *const handle = server.handle();
        const int error = call_with_failing(
            nth, has_failed, [&] { return subscribe(handle, "room", {.history = history}); });
        CHECK((error == 0 || error == ENOMEM));
        failures += error == ENOMEM;
        CHECK(libwebsock_topic_subscribers(context, "room") == (error == 0 ? 1u : 0u));
        if (error == ENOMEM)
            CHECK(subscribe(handle, "room", {.history = history}) == 0);
        CHECK(publish(context, {.text = "after"}) == 0);
        if (history > 0)
            CHECK(client.receive_text() == "before");
        CHECK(client.receive_text() == "after");
        CHECK(libwebsock_unsubscribe(handle, "room") == 0);
        CHECK(libwebsock_topic_subscribers(context, "room") == 0);
    }
    CHECK(failures >= 4);
}

TEST_CASE("each allocation of a queued message may fail: it is sent, or ENOMEM says that not")
{
    bool has_failed = true;
    const std::string text(100'000, 'x');
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        Server server({.settings =
                           [](auto *context) {
                               set_up(context);
                               context->send_buffer_bytes = 4096;
                           },
                       .keep_handles = true});
        Client client(server.port(), {.receive_buffer = 4096});
        client.handshake();
        libwebsock_client_state *const handle = server.handle();
        // So that the client has something to read, and what follows is queued behind it.
        int sent = 0;
        while (libwebsock_queued_bytes(handle) == 0 && sent < 100) {
            CHECK(libwebsock_queue_text(handle, text.data(), text.size()) == 0);
            ++sent;
        }
        const int error = call_with_failing(nth, has_failed, [&] {
            return libwebsock_queue_text(handle, text.data(), text.size());
        });
        CHECK((error == 0 || error == ENOMEM));
        CHECK(libwebsock_queue_text(handle, "last", 4) == 0);
        std::string received;
        int whole = 0;
        while ((received = client.receive_text()) == text)
            ++whole;
        CHECK(received == "last");
        CHECK(whole == sent + (error == 0 ? 1 : 0));
    }
}

// Delivery allocates only where a half-sent message has to wait.
TEST_CASE("when memory is short, a delivery goes on or the connection ends")
{
    size_t lost = 0;
    const std::string text(300'000, 'x');
    bool has_failed = true;
    for (size_t nth = 1; has_failed && nth < 200; ++nth) {
        CAPTURE(nth);
        Server server({.settings =
                           [](auto *context) {
                               set_up(context);
                               context->onpublished = nullptr;
                               context->close_timeout_ms = 100;
                               context->send_buffer_bytes = 4096;
                           },
                       .keep_handles = true});
        Client client(server.port(), {.receive_buffer = 4096});
        client.handshake();
        CHECK(subscribe(server.handle(), "room") == 0);
        std::optional<FailingAllocations> failing;
        failing.emplace(nth, Failing::one); // of other threads: not of this one, which publishes
        CHECK(publish(server.context(), {.text = text}) == 0);
        CHECK(publish(server.context(), {.text = "behind"}) == 0);
        try {
            const std::string first = client.receive_text();
            CHECK(first == text);
            const std::string second = client.receive_text();
            CHECK(second == "behind");
        } catch (const std::exception &error) {
            const std::string_view what = error.what();
            REQUIRE(what.find("deadline") == std::string_view::npos); // it ended, but did not hang
            ++lost;
        }
        has_failed = failing->have_begun();
        failing.reset();
    }
    CHECK(lost > 0); // or nothing came of it
}
