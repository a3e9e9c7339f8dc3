// thread_cache.h: threads that do one job after another; a job may take as long as it likes. A
// connection has a thread of its own for as long as it lives, but that need not be a new one:
// making a thread costs 30 to 60 us, half of what a short session costs in all.
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

    // Runs job(argument) on a parked thread, or on a new one with these options, which must be
    // the same each time. 0, or an errno value: EAGAIN, ENOMEM.
    int run(const ThreadOptions &options, void (*job)(void *), void *argument) EXCLUDES(mutex_);

    // Joins a thread that has ended, if nobody has joined it yet.
    void reap() EXCLUDES(mutex_);

    // No more jobs will come: parked threads leave, and so does every thread whose job is done.
    void stop_parking() EXCLUDES(mutex_);
    // Does that, and waits until all threads have ended. Their jobs must be about to return.
    void stop() EXCLUDES(mutex_);

  private:
    struct Worker {
        ThreadCache *cache;
        Thread thread;
        Cond wake;
        // Written by run(), before the thread has begun or while it is parked:
        void (*job)(void *);
        void *argument;
        Worker *next_parked = nullptr; // guarded by mutex_
    };

    void work(Worker &worker);
    bool park(Worker &worker) EXCLUDES(mutex_);
    void leave(Worker &worker) EXCLUDES(mutex_);
    static void join(Worker *left);

    Mutex mutex_;
    Cond all_left_;
    size_t thread_count_ GUARDED_BY(mutex_) = 0;
    size_t parked_count_ GUARDED_BY(mutex_) = 0;
    Worker *parked_ GUARDED_BY(mutex_) = nullptr; // a stack: the last to park is still in cache
    // The last one that has left. The next one that leaves joins it, or reap() does.
    Worker *unjoined_ GUARDED_BY(mutex_) = nullptr;
    bool parking_ended_ GUARDED_BY(mutex_) = false;
};

} // namespace websock
