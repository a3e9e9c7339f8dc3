// thread_cache.cpp: see thread_cache.h.
#include "dispatch/thread_cache.h"

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

namespace websock {

namespace {

// As many sessions as can begin in the time that it takes one to end.
constexpr size_t kMostParked = 64;
constexpr std::chrono::seconds kParkedLeaves{5};

} // namespace

int ThreadCache::run(const ThreadOptions &options, void (*job)(void *), void *argument)
{
    {
        Lock lock(mutex_);
        if (Worker *worker = parked_) {
            parked_ = worker->next_parked;
            --parked_count_;
            worker->job = job;
            worker->argument = argument;
            worker->wake.signal();
            return 0;
        }
        ++thread_count_;
    }
    std::unique_ptr<Worker> worker(new (std::nothrow) Worker{
        .cache = this, .thread = {}, .wake = {}, .job = job, .argument = argument});
    const auto entry = [](void *self) {
        Worker &started = *static_cast<Worker *>(self);
        started.cache->work(started);
    };
    const int error = worker ? worker->thread.launch(options, entry, worker.get()) : ENOMEM;
    if (error == 0) {
        (void)worker.release(); // whoever joins the thread frees it
        return 0;
    }
    Lock lock(mutex_);
    if (--thread_count_ == 0)
        all_left_.signal();
    return error;
}

void ThreadCache::work(Worker &worker)
{
    do {
        std::exchange(worker.job, nullptr)(worker.argument);
    } while (park(worker));
    leave(worker);
}

// Waits for a job. False: none has come, and the thread is to leave.
bool ThreadCache::park(Worker &worker)
{
    Lock lock(mutex_);
    if (parking_ended_ || parked_count_ == kMostParked)
        return false;
    worker.next_parked = parked_;
    parked_ = &worker;
    ++parked_count_;
    const TimePoint leave_at = Clock::now() + kParkedLeaves;
    bool in_time = true;
    while (!worker.job && !parking_ended_ && in_time)
        in_time = worker.wake.wait_until(mutex_, leave_at);
    if (worker.job)
        return true;
    Worker **link = &parked_;
    while (*link != &worker)
        link = &(*link)->next_parked;
    *link = worker.next_parked;
    --parked_count_;
    return false;
}

// Each thread that leaves joins the one that left before it, so that there is at most one that
// has ended and is not joined.
void ThreadCache::leave(Worker &worker)
{
    release_unused_stack(); // glibc keeps stacks for later, up to 40 MiB of them
    Worker *before = nullptr;
    {
        Lock lock(mutex_);
        before = std::exchange(unjoined_, &worker);
        if (--thread_count_ == 0)
            all_left_.signal();
    }
    join(before);
}

void ThreadCache::join(Worker *left)
{
    if (!left)
        return;
    left->thread.join_launched();
    delete left;
}

void ThreadCache::reap()
{
    Worker *left = nullptr;
    {
        Lock lock(mutex_);
        left = std::exchange(unjoined_, nullptr);
    }
    join(left);
}

void ThreadCache::stop_parking()
{
    Lock lock(mutex_);
    parking_ended_ = true;
    for (Worker *worker = parked_; worker; worker = worker->next_parked)
        worker->wake.signal();
}

void ThreadCache::stop()
{
    stop_parking();
    {
        Lock lock(mutex_);
        while (thread_count_ > 0)
            all_left_.wait(mutex_);
    }
    reap();
}

} // namespace websock
