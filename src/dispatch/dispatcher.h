// dispatcher.h: runs work on worker threads. It knows nothing of connections: it
// runs Runnables.
//
// Waking a thread for every event costs more than the event. So there is one queue
// of runnables; a worker that is awake looks at it again before it parks, and an
// idle worker is woken only while fewer are active than there are processors (plus
// those that are stuck in a callback). That leaves one danger, that all active
// workers block while others wait, and it is the monitor's: a thread that, awake
// only while something is queued or running, looks every millisecond at a few of the
// active workers. Those that sleep in a callback are stuck; who only waits for a processor
// is not, since company does not help it. While fewer are moving than there are processors,
// and somebody waits, their number doubles. A thread of its own makes them, for each takes
// some 50 us, and the monitor has better things to do.
// Measured against "wake a parked worker for every event" on one core, 64 and 1000
// connections in a closed loop: 10 and 17 us of CPU per echo instead of 17 and 34.
#pragma once

#include "base/lock.h"
#include "base/thread.h"
#include "base/thread_state.h"

#include <atomic>
#include <chrono>
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
    // monitors: the time of the monitor's last look. Reading the clock for each event would
    // cost more than many an event does, and nobody needs to know it better.
    explicit Progress(const std::atomic<Clock::rep> &monitors) : now_(monitors) {}

    // A callback begins, and the one before it has ended.
    void begin_event()
    {
        since_.store(now_.load(std::memory_order_relaxed), std::memory_order_release);
    }
    void end_run() { since_.store(0, std::memory_order_relaxed); }

    // Since when it has been in its event, up to a look too early; kNever: it is in none.
    TimePoint event_since() const
    {
        const Clock::rep ticks = since_.load(std::memory_order_acquire);
        return ticks == 0 ? kNever : TimePoint(Clock::duration(ticks));
    }

  private:
    const std::atomic<Clock::rep> &now_;
    std::atomic<Clock::rep> since_{0};
};

// Something to be run. Reference-counted by whatever it is part of.
class Runnable
{
  public:
    // On a worker, once for each Dispatcher::post(); on several at once if it was posted as
    // often. spare is memory of the worker's, to be used for whatever the run gathers, and left
    // empty: the same, or other memory.
    virtual void run(Progress &progress, std::vector<uint8_t> &spare) noexcept = 0;
    // On the monitor, at most once in a run(), and only in one of its events: the run takes
    // more than a millisecond.
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
    unsigned posts_ = 0;          // that are queued: at one place, however many
    uint64_t queued_in_ = 0;      // Dispatcher::looks_ then
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
        size_t max_workers;                            // 0: no limit
        size_t stack_bytes;                            // of a worker
        sigset_t mask;                                 // signals blocked in workers: the user's own
        std::function<void(const char *)> warn;        // must not throw
        std::chrono::milliseconds idle_leaves{10'000}; // a worker that nobody needs
    };

    // Starts the monitor, the thread that makes workers, and a first set of these. 0, or an errno
    // value: EAGAIN, ENOMEM.
    int start(Options options);

    // Ends all threads once the queue is empty. False: deadline has come before, and
    // some worker is still in a callback; try again, or never destroy this.
    bool stop(TimePoint deadline);

    // Queues a runnable, to be run once. Never fails or waits. sleeps: it is known for sleeping
    // in its events, so there is to be a worker for it without a look of the monitor.
    void post(Runnable &runnable, bool sleeps = false) EXCLUDES(mutex_);

    // Calls runnable.expired() at the given time, once, unless forgotten before; only
    // the first time given to a runnable counts.
    void expire_at(Runnable &runnable, TimePoint when) EXCLUDES(mutex_);
    void forget(Runnable &runnable) EXCLUDES(mutex_);

    // Whether something waits for a worker. Any thread.
    bool has_waiting() const { return queued_.load(std::memory_order_relaxed) > 0; }

    struct Figures {
        size_t workers = 0;
        size_t busy = 0;
        std::chrono::nanoseconds longest{0}; // that an event now running has taken
    };
    Figures figures() EXCLUDES(mutex_);

    // "peer A for 1200 ms, peer B for 80 ms": what workers are in for longer than ms.
    std::string stuck_in(int ms) EXCLUDES(mutex_);

  private:
    struct Worker {
        explicit Worker(Dispatcher &of) : dispatcher(of), progress(of.now_) {}

        Dispatcher &dispatcher;
        Thread thread;
        Cond wake;
        Progress progress;
        std::vector<uint8_t> spare; // its thread's alone; empty between two runs
        // Guarded by mutex_:
        ThreadId id;        // none: it has not begun yet
        size_t index = 0;   // in workers_
        bool woken = false; // out of park()
        Runnable *current = nullptr;
        uint64_t run = 0;    // no other run, of any worker, has this number
        uint64_t run_in = 0; // looks_ when it began
        bool fresh = false;  // it is in the list of runs that late() may have to be told
        std::chrono::nanoseconds cpu_time_when_late{0}; // once not fresh any more
        Worker *earlier = nullptr;
        Worker *later = nullptr;
        bool slept = false; // in its last run; see workers_tell_
    };

    void work(Worker &worker);
    Runnable *take(Worker &worker) REQUIRES(mutex_);
    bool run(Worker &worker, Runnable &runnable);
    void finish(Worker &worker, bool slept) REQUIRES(mutex_);
    void unlink_fresh(Worker &worker) REQUIRES(mutex_);
    Runnable *park(Worker &worker) REQUIRES(mutex_);
    std::unique_ptr<Worker> leave(Worker &worker) REQUIRES(mutex_);
    static void join(std::unique_ptr<Worker> left);
    void append(Runnable &runnable) REQUIRES(mutex_);
    bool wake_one() REQUIRES(mutex_);
    void activate(Worker &worker) REQUIRES(mutex_);
    void deactivate(Worker &worker) REQUIRES(mutex_);
    void exchange(size_t a, size_t b) REQUIRES(mutex_);
    std::unique_ptr<Worker> take_out(Worker &worker) REQUIRES(mutex_);
    int add_worker() EXCLUDES(mutex_);

    // monitor.cpp
    void watch();
    void look() REQUIRES(mutex_);
    void tell_late() REQUIRES(mutex_);
    size_t count_stuck() REQUIRES(mutex_);
    ThreadState state_in_run(Worker &worker) REQUIRES(mutex_);
    bool is_stuck(Worker &worker) REQUIRES(mutex_);
    void grow(size_t count) REQUIRES(mutex_);
    void make_wanted() EXCLUDES(mutex_);
    void note_outcome(int error) EXCLUDES(mutex_);
    void expire() REQUIRES(mutex_);
    void unlink_expiring(Runnable &runnable) REQUIRES(mutex_);
    bool has_work() const REQUIRES(mutex_) { return head_ != nullptr || active_ > 0; }

    Options options_{}; // fixed by start()
    size_t processors_ = 1;

    Mutex mutex_;
    Runnable *head_ GUARDED_BY(mutex_) = nullptr; // the queue
    Runnable *tail_ GUARDED_BY(mutex_) = nullptr;
    std::atomic<size_t> queued_{0};                         // written under mutex_
    Runnable *first_expiring_ GUARDED_BY(mutex_) = nullptr; // soonest first
    Runnable *last_expiring_ GUARDED_BY(mutex_) = nullptr;
    // The active ones first; behind them those that are parked, the most recent one first.
    std::vector<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex_);
    size_t active_ GUARDED_BY(mutex_) = 0;         // workers that are not parked
    size_t allowed_active_ GUARDED_BY(mutex_) = 1; // up to here post() wakes one
    size_t wanted_ GUARDED_BY(mutex_) = 0;         // workers to be made
    // Has left, and is to be joined, by the next one that leaves or by stop().
    std::unique_ptr<Worker> left_ GUARDED_BY(mutex_);
    bool short_of_threads_ GUARDED_BY(mutex_) = false; // the system refused the last one
    bool stopping_ GUARDED_BY(mutex_) = false;
    bool monitor_parked_ GUARDED_BY(mutex_) = false;
    bool ends_ GUARDED_BY(mutex_) = false;
    std::atomic<Clock::rep> now_{0};                   // at the last look; written under mutex_
    uint64_t looks_ GUARDED_BY(mutex_) = 0;            // of the monitor, so far
    uint64_t runs_ GUARDED_BY(mutex_) = 0;             // so far
    Worker *first_fresh_ GUARDED_BY(mutex_) = nullptr; // runs, the earliest first, until
    Worker *last_fresh_ GUARDED_BY(mutex_) = nullptr;  // late() has been told
    size_t late_runs_ GUARDED_BY(mutex_) = 0;          // running, and told so
    size_t next_sampled_ GUARDED_BY(mutex_) = 0;       // not the same ones each time
    size_t stuck_ GUARDED_BY(mutex_) = 0;              // workers, as of the last sample
    // The system does not: they note whether a run has slept. Written by the monitor.
    std::atomic<bool> workers_tell_{false};
    Cond monitor_wake_;
    Cond growth_wake_;
    Cond all_left_;
    Thread monitor_;
    Thread growth_;
    bool monitor_started_ = false; // start() and stop() alone, and so is
    bool growth_started_ = false;  // this
};

} // namespace websock
