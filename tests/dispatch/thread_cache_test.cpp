// thread_cache_test.cpp: threads that do one job after another. See thread_cache.h.
#include "dispatch/thread_cache.h"

#include "base/thread_state.h"
#include "tests/support/server.h"
#include "tests/support/thread_creation.h"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

using namespace websock;
using test::eventually;

namespace {

constexpr ThreadOptions kOptions{.name = "test-cached"};

// Jobs that note which thread they run on, and wait until they may return.
class Jobs
{
  public:
    static void job(void *self) { static_cast<Jobs *>(self)->work(); }

    size_t running()
    {
        std::lock_guard lock(mutex_);
        return running_;
    }
    std::multiset<pid_t> threads()
    {
        std::lock_guard lock(mutex_);
        return threads_;
    }
    void let_return()
    {
        std::lock_guard lock(mutex_);
        may_return_ = true;
        changed_.notify_all();
    }

  private:
    void work()
    {
        std::unique_lock lock(mutex_);
        threads_.insert(current_thread().number);
        ++running_;
        changed_.wait(lock, [this] { return may_return_; });
        --running_;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool may_return_ = false;
    size_t running_ = 0;
    std::multiset<pid_t> threads_;
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a job that comes after another runs on the same thread")
{
    ThreadCache cache;
    Jobs jobs;
    jobs.let_return();
    // Whether the thread of the job before it has parked yet cannot be seen from outside.
    CHECK(eventually([&] {
        REQUIRE(cache.run(kOptions, Jobs::job, &jobs) == 0);
        const std::multiset<pid_t> threads = jobs.threads();
        return !threads.empty() && threads.count(*threads.begin()) > 1;
    }));
    cache.stop(); // before jobs is destroyed
}

TEST_CASE("jobs run at the same time, each on its own thread, and stop waits for all of them")
{
    constexpr size_t kCount = 200;
    Jobs jobs;
    {
        ThreadCache cache;
        for (size_t i = 0; i < kCount; ++i)
            REQUIRE(cache.run(kOptions, Jobs::job, &jobs) == 0);
        CHECK(eventually([&] { return jobs.running() == kCount; }));
        const std::multiset<pid_t> threads = jobs.threads();
        CHECK(std::set<pid_t>(threads.begin(), threads.end()).size() == kCount);
        jobs.let_return();
    }
    CHECK(jobs.running() == 0);
}

TEST_CASE("if a thread cannot be made, run fails, and the threads that are there go on")
{
    ThreadCache cache;
    Jobs jobs;
    REQUIRE(cache.run(kOptions, Jobs::job, &jobs) == 0);
    CHECK(eventually([&] { return jobs.running() == 1; }));
    const ThreadOptions too_large{.name = "test-cached", .stack_bytes = SIZE_MAX / 4};
    CHECK(cache.run(too_large, Jobs::job, &jobs) != 0);
    CHECK(jobs.running() == 1);
    jobs.let_return();
    cache.stop(); // before jobs is destroyed
}

#ifdef THREAD_CREATION_CAN_BE_HELD

TEST_CASE("a thread may have done its job and be gone before pthread_create has returned")
{
    Jobs jobs;
    jobs.let_return();
    bool on_stack = false;
    {
        ThreadCache cache;
        cache.stop_parking();
        // The id is stored after the thread has been joined, as some C libraries do it.
        const test::ThreadCreation late([&](const pthread_t *id, const auto &create) {
            const int error = create();
            CHECK(eventually([&] { return jobs.threads().size() == 1; }));
            cache.stop(); // joins it, and frees the object it was kept in
            const auto at = reinterpret_cast<uintptr_t>(id);
            const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
            on_stack = at > here && at - here < 64 * 1024; // of the creator, which is still there
            return error;
        });
        std::thread creator([&] { REQUIRE(cache.run(kOptions, Jobs::job, &jobs) == 0); });
        creator.join();
    }
    CHECK(on_stack);
}

#endif

TEST_SUITE_END();
