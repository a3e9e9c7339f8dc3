// thread_cache.h: threads that do one job after another, each for as long as it likes. A
// connection has a thread of its own as long as it lives, but that need not be a new one:
// making one costs 30 to 60 us, half of what a short session costs in all.
#pragma once

#include "base/lock.h"
#include "base/thread.h"

#include <cstddef>

namespace websock {

class ThreadCache
{
  public:
    ThreadCache() = default;
    ~ThreadCache() { stop(); }
    ThreadCache(const ThreadCache &) = delete;
    ThreadCache &operator=(const ThreadCache &) = delete;

    // Runs job(argument) on a parked thread, or on a new one of these options, which are to
    // be the same each time. 0, or an errno value: EAGAIN, ENOMEM.
    int run(const ThreadOptions &options, void (*job)(void *), void *argument) EXCLUDES(mutex_);

    // Joins a thread that has ended, if there is one that nobody has joined.
    void reap() EXCLUDES(mutex_);

    // No job comes any more: those that are parked leave, and so does whoever is done.
    void stop_parking() EXCLUDES(mutex_);
    // Waits until all threads have ended. Their jobs must be about to return.
    void stop() EXCLUDES(mutex_);

  private:
    struct Worker {
        ThreadCache *cache;
        Thread thread;
        Cond wake;
        // Written by run() while the thread is not there yet or parked:
        void (*job)(void *);
        void *argument;
        Worker *below = nullptr; // in the stack of parked ones; guarded by mutex_
    };

    void work(Worker &worker);
    bool park(Worker &worker) EXCLUDES(mutex_);
    void leave(Worker &worker) EXCLUDES(mutex_);
    static void join(Worker *left);

    Mutex mutex_;
    Cond all_left_;
    size_t threads_ GUARDED_BY(mutex_) = 0;
    size_t parked_count_ GUARDED_BY(mutex_) = 0;
    Worker *parked_ GUARDED_BY(mutex_) = nullptr; // most recently parked first: its stack is warm
    // Has left, and is to be joined: by the next one that leaves, or by reap().
    Worker *left_ GUARDED_BY(mutex_) = nullptr;
    bool parking_ended_ GUARDED_BY(mutex_) = false;
};

} // namespace websock
