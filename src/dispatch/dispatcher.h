// dispatcher.h: runs Runnables on worker threads. It knows nothing of connections.
//
// Waking a thread for every event costs more than the event. So there is one queue of
// runnables. A worker that is awake looks at the queue again before it parks. A parked worker
// is woken only while fewer are active than there are processors (plus those that are stuck in
// a callback). Measured against "wake a parked worker for every event" on one core, 64 and 1000
// connections in a closed loop: 10 and 17 us of CPU per echo instead of 17 and 34.
//
// That leaves one danger: all active workers block while others wait. The monitor sees to
// that. While anything is queued or running, this thread looks at a few of the active workers
// every millisecond. A worker that sleeps in a callback is stuck. One that waits for a
// processor is not: company does not help it. While something waits, and fewer workers are
// moving than there are processors, the monitor asks for as many more as are stuck.
//
// Where a worker comes from: start() makes the first ones, one for each processor. Later ones
// are asked for by the monitor or by post(), and made by a thread of its own, the maker, since
// making one takes some 50 us and neither of the two can wait for that.
//
// dispatcher.cpp has start, stop and the queue; workers.cpp how a worker is made, works, parks
// and leaves; monitor.cpp how many workers there are to be, and who is told that it is late.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/thread.h"
#include "base/thread_state.h"
#include "dispatch/runnable.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace websock {

class Dispatcher
{
  public:
    Dispatcher() = default;
    ~Dispatcher();
    Dispatcher(const Dispatcher &) = delete;
    Dispatcher &operator=(const Dispatcher &) = delete;

    struct Options {
        size_t max_workers;                             // 0: no limit
        size_t stack_bytes;                             // of a worker
        sigset_t mask;                                  // signals blocked in workers: the user's
        std::function<void(const char *)> warn;         // must not throw
        std::chrono::milliseconds idle_timeout{10'000}; // then a surplus worker leaves
    };

    // Starts the monitor, the maker and the first workers. 0, or an errno value: EAGAIN, ENOMEM.
    int start(Options options);

    // Ends all threads once the queue is empty. False: the deadline came first, and some worker
    // is still in a callback; then call it again, or never destroy this.
    bool stop(TimePoint deadline);

    // Queues a runnable, to be run once. Never fails or waits. sleeps: its events are known to
    // sleep, so it is to have a worker without a look of the monitor.
    void post(Runnable &runnable, bool sleeps = false) EXCLUDES(mutex_);

    // Calls runnable.expired() at the given time, once, unless forget() comes first. A runnable
    // has one such time: until it has come, further calls change nothing.
    void expire_at(Runnable &runnable, TimePoint when) EXCLUDES(mutex_);
    void forget(Runnable &runnable) EXCLUDES(mutex_);

    // What a thread that is no worker does, and is to be told of once it takes long.
    struct Watched {
        explicit Watched(Runnable &of) : runnable(of) {}

        Runnable &runnable;
        // Guarded by mutex_:
        bool is_watched = false;
        uint64_t since_look = 0;
        Watched *previous = nullptr;
        Watched *next = nullptr;
    };
    // Calls runnable.late(), once, unless unwatch() comes within a millisecond or two. It is not
    // watched yet.
    void watch(Watched &watched) EXCLUDES(mutex_);
    void unwatch(Watched &watched) EXCLUDES(mutex_);

    // Whether something waits for a worker. Any thread.
    bool has_waiting() const { return runs_queued_.load(std::memory_order_relaxed) > 0; }

    struct Figures {
        size_t workers = 0;
        size_t busy = 0;
        std::chrono::nanoseconds longest{0}; // how long the longest event has been running
    };
    Figures figures() EXCLUDES(mutex_);

    // "peer A for 1200 ms, peer B for 80 ms": the events that have been running for so long.
    std::string running_for(int ms) EXCLUDES(mutex_);

  private:
    struct Worker {
        explicit Worker(Dispatcher &of) : dispatcher(of), progress(of.coarse_now_) {}

        Dispatcher &dispatcher;
        Thread thread;
        Cond wake;
        Progress progress;
        std::vector<uint8_t> spare; // its thread's alone; empty between two runs
        // Guarded by mutex_:
        ThreadId id;                 // none until its thread has begun
        size_t index = 0;            // in workers_
        bool woken = false;          // it may leave park()
        Runnable *current = nullptr; // what it runs
        uint64_t run_number = 0;     // no other run, of any worker, has it
        uint64_t run_began_at_look = 0;
        bool on_time = false;                           // it is in on_time_
        std::chrono::nanoseconds cpu_time_when_late{0}; // set when it leaves on_time_
        bool slept_in_last_run = false;                 // only if workers_note_sleep_
        Worker *previous = nullptr;                     // in on_time_
        Worker *next = nullptr;
    };

    // workers.cpp
    void run_maker() EXCLUDES(mutex_);
    int add_worker() EXCLUDES(mutex_);
    void note_outcome(int error) EXCLUDES(mutex_);
    bool wake_one() REQUIRES(mutex_);
    void work(Worker &worker) EXCLUDES(mutex_);
    Runnable *begin_run(Worker &worker) REQUIRES(mutex_);
    bool run(Worker &worker, Runnable &runnable);
    void end_run(Worker &worker, bool slept) REQUIRES(mutex_);
    Runnable *park(Worker &worker) REQUIRES(mutex_);
    std::unique_ptr<Worker> leave(Worker &worker) REQUIRES(mutex_);
    static void join(std::unique_ptr<Worker> left);
    void activate(Worker &worker) REQUIRES(mutex_);
    void deactivate(Worker &worker) REQUIRES(mutex_);
    void swap_places(size_t a, size_t b) REQUIRES(mutex_);
    std::unique_ptr<Worker> remove(Worker &worker) REQUIRES(mutex_);

    // monitor.cpp
    void run_monitor() EXCLUDES(mutex_);
    void look() REQUIRES(mutex_);
    void tell_expired() REQUIRES(mutex_);
    void tell_late() REQUIRES(mutex_);
    size_t take_late(std::span<Runnable *> late) REQUIRES(mutex_);
    size_t estimate_stuck() REQUIRES(mutex_);
    bool is_stuck(Worker &worker) REQUIRES(mutex_);
    ThreadState state_in_run(Worker &worker) REQUIRES(mutex_);
    void call_for_workers(size_t count) REQUIRES(mutex_);

    void unpark_monitor() REQUIRES(mutex_);
    void update_coarse_now() REQUIRES(mutex_)
    {
        coarse_now_ = Clock::now().time_since_epoch().count();
    }

    Options options_{}; // fixed by start()
    size_t processors_ = 1;

    Mutex mutex_;
    RunQueue queue_ GUARDED_BY(mutex_);
    std::atomic<size_t> runs_queued_{0}; // as often as they were posted; written under mutex_
    ExpiryList expiring_ GUARDED_BY(mutex_);
    // The active ones first; behind them those that are parked, the latest to park first.
    std::vector<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex_);
    size_t active_ GUARDED_BY(mutex_) = 0;     // workers that are not parked
    size_t wake_below_ GUARDED_BY(mutex_) = 1; // while fewer are active, post() wakes one
    size_t workers_to_make_ GUARDED_BY(mutex_) = 0;
    // Has left and is not joined yet: by the maker, the next one to leave, or stop().
    std::unique_ptr<Worker> unjoined_ GUARDED_BY(mutex_);
    bool thread_refused_ GUARDED_BY(mutex_) = false; // by the system, the last time one was made
    bool stopping_ GUARDED_BY(mutex_) = false;       // no worker is added, and those idle leave
    bool helpers_end_ GUARDED_BY(mutex_) = false;    // the monitor and the maker are to end
    bool monitor_parked_ GUARDED_BY(mutex_) = false;
    std::atomic<Clock::rep> coarse_now_{0};         // at the last look; written under mutex_
    uint64_t look_count_ GUARDED_BY(mutex_) = 0;    // looks of the monitor
    uint64_t run_count_ GUARDED_BY(mutex_) = 0;     // runs that have begun
    LinkedList<Worker> on_time_ GUARDED_BY(mutex_); // runs that are not late, the oldest first
    size_t late_runs_ GUARDED_BY(mutex_) = 0;       // that are running, and were told so
    LinkedList<Watched> watched_ GUARDED_BY(mutex_);
    size_t next_sampled_ GUARDED_BY(mutex_) = 0; // where the next sample of workers begins
    size_t stuck_ GUARDED_BY(mutex_) = 0;        // workers, as of the last sample
    // The system does not tell who sleeps, so workers note it. Written by the monitor.
    std::atomic<bool> workers_note_sleep_{false};
    Cond monitor_wake_;
    Cond maker_wake_;
    Cond all_left_;
    Thread monitor_;
    Thread maker_;
    bool monitor_started_ = false; // these two are used by start() and stop() alone
    bool maker_started_ = false;
};

} // namespace websock
