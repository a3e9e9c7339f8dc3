// call_allocation_test.cpp: posts, timers and handles while one allocation after the other fails:
// each call works or says ENOMEM, and an argument is freed if it was taken, and only then.
#include "tests/support/failing_allocator.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

using namespace test;

namespace {

std::atomic<int> frees;

void do_nothing(libwebsock_client_state *, void *) {}
void count_free(void *) { ++frees; }

// What became of the calls below.
struct Outcome {
    int taken = 0;   // arguments
    int refused = 0; // for want of memory
    int wrong = 0;   // failed otherwise

    void add(bool ok)
    {
        if (ok)
            ++taken;
        else if (errno == ENOMEM)
            ++refused;
        else
            ++wrong;
    }
};

// Every call that takes an argument; so many timers that the tables of them grow, too.
Outcome call_all(libwebsock_context *context, libwebsock_client_state *client)
{
    constexpr int kFarMs = 600'000;
    Outcome outcome;
    for (int i = 0; i < 3; ++i)
        outcome.add(libwebsock_post_with(client, do_nothing, nullptr, count_free) == 0);
    for (int i = 0; i < 20; ++i) {
        libwebsock_client_state *const owner = i % 2 == 0 ? client : nullptr;
        const auto timer =
            libwebsock_start_timer(context, owner, kFarMs, i % 3, do_nothing, nullptr, count_free);
        outcome.add(timer != 0);
        if (timer != 0 && i % 4 == 0)
            outcome.wrong += libwebsock_cancel(context, timer) != 0;
    }
    return outcome;
}

} // namespace

TEST_CASE("posts and timers work or say ENOMEM, whichever allocation fails")
{
    size_t nth = 0;
    size_t refused = 0;
    for (bool has_failed = true; has_failed;) {
        ++nth;
        CAPTURE(nth);
        frees = 0;
        Server server({.settings = [](auto *context) { context->close_timeout_ms = 0; },
                       .keep_handles = true});
        Client client = Client::open(server.port());
        libwebsock_client_state *const handle = server.handle();
        Outcome outcome;
        {
            FailingAllocations failing(nth, Failing::one_of_chosen);
            std::thread([&] {
                choose_this_thread();
                outcome = call_all(server.context(), handle);
            }).join();
            has_failed = failing.have_begun();
        }
        CHECK(outcome.wrong == 0);
        CHECK(outcome.refused == (has_failed ? 1 : 0));
        refused += static_cast<size_t>(outcome.refused);
        client.send_text("still here");
        CHECK(server.events().wait(Kind::message).text == "still here");
        CHECK(server.stop_and_join() == 0);
        CHECK(frees == outcome.taken);
    }
    CHECK(refused >= 23); // each call had its turn
}
