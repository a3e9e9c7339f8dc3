// dispatcher.h: runs work on worker threads. It knows nothing of connections: it
// runs Runnables.
//
// Waking a thread for every event costs more than the event. So there is one queue
// of runnables; a worker that is awake looks at it again before it parks, and an
// idle worker is woken only while fewer are active than there are processors (plus
// those that are stuck in a callback). That leaves one danger, that all active
// workers block while others wait, and it is the monitor's: a thread that, awake
// only while something is queued or running, looks every millisecond, and adds as
// many workers as are stuck, so that their number doubles until nobody waits. Stuck is
// who sleeps in a callback; who only waits for a processor is not helped by company.
// Measured against "wake a parked worker for every event" on one core, 64 and 1000
// connections in a closed loop: 10 and 17 us of CPU per echo instead of 17 and 34.
#pragma once

#include "thread.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace websock {

// What a worker is doing, for the monitor to see. Written by the worker alone.
class Progress
{
  public:
    void begin_run()
    {
        count();
        first_event_.store(event() + 1, std::memory_order_relaxed);
        run_since_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    }
    void end_run() { run_since_.store(0, std::memory_order_relaxed); }
    // Only counted: reading the clock for each would cost more than many an event does.
    void begin_event() { count(); }

    // When this run() began; kNever between two.
    TimePoint run_since() const
    {
        const Clock::rep ticks = run_since_.load(std::memory_order_relaxed);
        return ticks == 0 ? kNever : TimePoint(Clock::duration(ticks));
    }
    // Another number for each event of each run.
    uint64_t event() const { return event_.load(std::memory_order_acquire); }
    // False until the first begin_event() of this run.
    bool in_event() const { return event() >= first_event_.load(std::memory_order_relaxed); }
    // Which has begun with its run.
    bool in_first_event() const { return event() <= first_event_.load(std::memory_order_relaxed); }

  private:
    void count() { event_.store(event() + 1, std::memory_order_release); }

    std::atomic<Clock::rep> run_since_{0};
    std::atomic<uint64_t> event_{0};
    std::atomic<uint64_t> first_event_{0};
};

// Something to be run. Reference-counted by whatever it is part of.
class Runnable
{
  public:
    // On a worker, once for each Dispatcher::post(); on several at once if it was posted as
    // often. spare is memory of the worker's, to be used for whatever the run gathers, and left
    // empty: the same, or other memory.
    virtual void run(Progress &progress, std::vector<uint8_t> &spare) noexcept = 0;
    // On the monitor, at most once in a run(), and only in one of its events: that takes more
    // than a millisecond.
    virtual void late() noexcept {}
    // On the monitor: the time given to expire_at() has come.
    virtual void expired() noexcept {}

    virtual void retain() noexcept = 0;
    virtual void release() noexcept = 0;
    // Whom a log line about a callback that does not return should name.
    virtual const char *name() const noexcept = 0;

    // Has the processor fetch the first part of a runnable, which may be gone: what is about
    // to be used comes all at once then, and not line by line. Measured, together with the
    // order of Connection's fields, at 1000 connections: 14.5 -> 12.5 us of CPU per echo.
    static void prefetch(const Runnable *runnable)
    {
        constexpr size_t kLine = 64, kLines = 11;
        const auto begin = reinterpret_cast<uintptr_t>(runnable); // no object may be there
        for (size_t i = 0; i < kLines; ++i)
            __builtin_prefetch(reinterpret_cast<const void *>(begin + i * kLine), 1);
    }

  protected:
    ~Runnable() = default;

  private:
    friend class Dispatcher;
    // All guarded by Dispatcher::mutex_.
    Runnable *next_ = nullptr;
    unsigned posts_ = 0; // that are queued: at one place, however many
    TimePoint queued_at_{};
    Runnable *earlier_ = nullptr; // in the list of those that expire
    Runnable *later_ = nullptr;
    TimePoint expires_at_ = kNever;
};

class Dispatcher
{
  public:
    Dispatcher() = default;
    ~Dispatcher();
    Dispatcher(const Dispatcher &) = delete;
    Dispatcher &operator=(const Dispatcher &) = delete;

    struct Options {
        size_t max_workers;                     // 0: no limit
        sigset_t mask;                          // signals blocked in workers: the user's own
        std::function<void(const char *)> warn; // must not throw
    };

    // Starts the monitor and a first set of workers. 0, or an errno value: EAGAIN,
    // ENOMEM.
    int start(Options options);

    // Ends all threads once the queue is empty. False: deadline has come before, and
    // some worker is still in a callback; try again, or never destroy this.
    bool stop(TimePoint deadline);

    // Queues a runnable, to be run once. Never fails or waits.
    void post(Runnable &runnable) EXCLUDES(mutex_);

    // Calls runnable.expired() at the given time, once, unless forgotten before; only
    // the first time given to a runnable counts.
    void expire_at(Runnable &runnable, TimePoint when) EXCLUDES(mutex_);
    void forget(Runnable &runnable) EXCLUDES(mutex_);

    struct Figures {
        size_t queued = 0;
        size_t workers = 0;
        size_t busy = 0;
        std::chrono::nanoseconds longest{0}; // that an event now running has taken
        const char *longest_name = "";       // good while the runnable is
    };
    Figures figures() EXCLUDES(mutex_);

    // "peer A for 1200 ms, peer B for 80 ms": what workers are in for longer than ms.
    std::string stuck_in(int ms) EXCLUDES(mutex_);

  private:
    struct Worker {
        Dispatcher *dispatcher = nullptr;
        Thread thread;
        Cond wake;
        Progress progress;
        std::vector<uint8_t> spare; // its thread's alone; empty between two runs
        // Guarded by mutex_:
        pid_t id = 0; // 0: it has not begun yet
        Runnable *current = nullptr;
        bool woken = false;
        bool told_late = false;  // late() was called in this run
        uint64_t event = 0;      // that the monitor saw it in,
        TimePoint event_since{}; // at the latest since then
        Worker *below = nullptr; // in the stack of idle workers
    };

    // What the monitor sees in one look at the workers.
    static constexpr size_t kSampled = 8;
    struct Survey {
        size_t overdue = 0;                 // in one event for long
        size_t hogging = 0;                 // of those, for very long
        std::array<pid_t, kSampled> sample; // some of the others
        size_t sampled = 0;
        std::vector<Runnable *> late; // retained; to be told so
    };

    void work(Worker &worker);
    Runnable *take(Worker &worker) REQUIRES(mutex_);
    Runnable *park(Worker &worker) REQUIRES(mutex_);
    void leave(Worker &worker) REQUIRES(mutex_);
    void append(Runnable &runnable) REQUIRES(mutex_);
    bool wake_one() REQUIRES(mutex_);
    int add_worker() EXCLUDES(mutex_);
    static TimePoint event_since(const Worker &worker, TimePoint now);

    // monitor.cpp
    void watch();
    void tick(TimePoint now) REQUIRES(mutex_);
    Survey survey(TimePoint now) REQUIRES(mutex_);
    bool may_be_stuck(Worker &worker, TimePoint now) REQUIRES(mutex_);
    static size_t stuck_among(const Survey &survey);
    void grow(size_t count) REQUIRES(mutex_);
    void expire(TimePoint now) REQUIRES(mutex_);
    void unlink_expiring(Runnable &runnable) REQUIRES(mutex_);
    void reap() REQUIRES(mutex_);
    bool has_work() const REQUIRES(mutex_) { return head_ != nullptr || active_ > 0; }

    Options options_{}; // fixed by start()
    size_t processors_ = 1;

    Mutex mutex_;
    Runnable *head_ GUARDED_BY(mutex_) = nullptr; // the queue
    Runnable *tail_ GUARDED_BY(mutex_) = nullptr;
    size_t queued_ GUARDED_BY(mutex_) = 0;
    Runnable *first_expiring_ GUARDED_BY(mutex_) = nullptr; // soonest first
    Runnable *last_expiring_ GUARDED_BY(mutex_) = nullptr;
    std::vector<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex_);
    std::vector<std::unique_ptr<Worker>> left_ GUARDED_BY(mutex_); // to be joined
    Worker *idle_ GUARDED_BY(mutex_) = nullptr;                    // most recently parked first
    size_t active_ GUARDED_BY(mutex_) = 0;                         // workers that are not parked
    size_t allowed_active_ GUARDED_BY(mutex_) = 1;                 // up to here post() wakes one
    bool stopping_ GUARDED_BY(mutex_) = false;
    bool monitor_parked_ GUARDED_BY(mutex_) = false;
    bool monitor_ends_ GUARDED_BY(mutex_) = false;
    size_t surveys_ GUARDED_BY(mutex_) = 0;
    TimePoint surveyed_at_ GUARDED_BY(mutex_){};       // the last time
    bool short_of_threads_ GUARDED_BY(mutex_) = false; // said once for each time
    Cond monitor_wake_;
    Cond all_left_;
    Thread monitor_;
    bool monitor_started_ = false; // start() and stop() alone
};

} // namespace websock
