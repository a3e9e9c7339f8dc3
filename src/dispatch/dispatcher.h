// dispatcher.h: runs Runnables on worker threads. It knows nothing of connections.
//
// Waking a thread for every event costs more than the event. So runnables wait in queues, and a
// worker that is awake looks there again before it parks. Measured against "wake a parked worker
// for every event" on one core, 64 and 1000 connections in a closed loop: 10 and 17 us of CPU per
// echo instead of 17 and 34.
//
// There is a lane for each processor that this process may use: a queue with workers of its own
// and a lock of its own, so that a message takes no lock which all processors share. A runnable is
// posted to the lane where it last ran, or by a worker to that worker's own. A parked worker of the
// lane is woken only while fewer are active than one, plus those that are stuck in a callback. If
// that lane has enough and another one is idle, a worker of that one is woken to help: whoever
// finds nothing in its own lane looks at all the others before it parks. Once a millisecond a busy
// one looks, too, whether somebody elsewhere has been waiting for longer, and takes that first.
// What has moved to another lane stays there.
//
// What is posted for the first time waits in a lane of its own, and comes before what was posted
// later anywhere. So a client's onopen begins before what others send once they know of it.
//
// That leaves one danger: all active workers block while others wait. The monitor sees to
// that. While anything is queued or running, this thread looks at a few of the active workers
// every millisecond. A worker that sleeps in a callback is stuck. One that waits for a
// processor is not: company does not help it. While something waits in a lane where no worker is
// moving, the monitor asks for as many more as are stuck.
//
// Where a worker comes from: start() makes the first ones, one for each lane. Later ones are asked
// for by the monitor or by post(). They are made by a thread of its own, the maker, since making
// one takes some 50 us and neither of the two can wait for that; and each new one makes another
// first, if more are asked for.
//
// Locks: a lane's mutex, then monitor_mutex_ or crew_mutex_. Of two lanes, the second one only if
// it is free (see wake_elsewhere()).
//
// dispatcher.cpp has start, stop and post; workers.cpp how a worker is made, works, parks and
// leaves; monitor.cpp how many workers there are to be, and who is told that it is late.
#pragma once

#include "base/lock.h"
#include "base/thread.h"
#include "base/thread_state.h"
#include "dispatch/lane.h"
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
        size_t processors = 0;                          // 0: as many as this process may use
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
    void post(Runnable &runnable, bool sleeps = false);

    // Calls runnable.expired() at the given time, once, unless forget() comes first. A runnable
    // has one such time: until it has come, further calls change nothing.
    void expire_at(Runnable &runnable, TimePoint when) EXCLUDES(monitor_mutex_);
    void forget(Runnable &runnable) EXCLUDES(monitor_mutex_);

    using Watched = websock::Watched;
    // Calls runnable.late(), once, unless unwatch() comes within a millisecond or two. It is not
    // watched yet.
    void watch(Watched &watched);
    void unwatch(Watched &watched);

    // Whether something waits for a worker. Any thread.
    bool has_waiting() const;

    struct Figures {
        size_t workers = 0;
        size_t busy = 0;
        std::chrono::nanoseconds longest{0}; // how long the longest event has been running
    };
    Figures figures();

    // "peer A for 1200 ms, peer B for 80 ms": the events that have been running for so long.
    std::string running_for(int ms);

  private:
    // dispatcher.cpp
    int make_lanes();
    std::span<const std::unique_ptr<Lane>> lanes() const
    {
        const size_t count = lane_count_.load(std::memory_order_acquire);
        return count == 0 ? std::span<const std::unique_ptr<Lane>>() : lanes_;
    }
    void move_to(Runnable &runnable, Lane &lane);
    Lane &home_of(Runnable &runnable);
    Worker *wake_for(Lane &lane, bool sleeps) REQUIRES(lane.mutex);
    Worker *wake_elsewhere(Lane &lane) REQUIRES(lane.mutex);
    void ask_for_workers(Lane &lane, size_t count) REQUIRES(lane.mutex);
    void unpark_monitor() EXCLUDES(monitor_mutex_);
    void update_coarse_now() { coarse_now_ = Clock::now().time_since_epoch().count(); }
    uint64_t look_count() const { return look_count_.load(std::memory_order_relaxed); }

    // workers.cpp
    void run_maker() EXCLUDES(crew_mutex_);
    bool make_one_asked_for(Lane &lane) EXCLUDES(lane.mutex, crew_mutex_);
    int add_worker(Lane &lane) EXCLUDES(lane.mutex, crew_mutex_);
    void note_outcome(Lane &lane, int error) EXCLUDES(lane.mutex, crew_mutex_);
    void uncount_worker() REQUIRES(crew_mutex_);
    [[gnu::tls_model("initial-exec")]] static thread_local constinit Worker *worker_of_thread;
    void work(Worker &worker);
    Runnable *next_run(Worker &worker, Runnable *done);
    Runnable *end_run(Worker &worker);
    Runnable *take(Worker &worker);
    Runnable *take_from(Worker &worker, Lane &lane);
    Lane *first_elsewhere(Worker &worker);
    void run(Worker &worker, Runnable &runnable);
    bool park(Worker &worker, TimePoint &leave_at);
    void leave(std::unique_ptr<Worker> worker) EXCLUDES(crew_mutex_);
    static void join(std::unique_ptr<Worker> left);

    // monitor.cpp
    void run_monitor() EXCLUDES(monitor_mutex_);
    bool is_idle();
    bool wait_for_look(bool parks) EXCLUDES(monitor_mutex_);
    void look();
    void look_at(Lane &lane, size_t &samples) EXCLUDES(lane.mutex);
    void tell_expired() EXCLUDES(monitor_mutex_);
    void tell_late(Lane &lane) EXCLUDES(lane.mutex);
    size_t take_late(Lane &lane, std::span<Runnable *> late) REQUIRES(lane.mutex);
    size_t estimate_stuck(Lane &lane, size_t &samples) REQUIRES(lane.mutex);
    bool is_stuck(Lane &lane, Worker &worker) REQUIRES(lane.mutex);
    ThreadState state_in_run(Lane &lane, Worker &worker) REQUIRES(lane.mutex);
    void call_for_workers(Lane &lane, size_t count) REQUIRES(lane.mutex);

    Options options_{};                        // fixed by start()
    std::vector<std::unique_ptr<Lane>> lanes_; // made by the first start(), before lane_count_
    std::atomic<size_t> lane_count_{0};        // stays so: runnables know their lane
    // Where what was never posted before waits, for workers of all lanes. It has none itself.
    Lane entry_{SIZE_MAX, idle_lanes_};
    std::atomic<size_t> idle_lanes_{0}; // how many say so; see park()
    // No worker is added, and those idle leave. Written under crew_mutex_.
    std::atomic<bool> stopping_{false};
    // Written by the monitor:
    std::atomic<uint64_t> look_count_{8};         // its looks; from 8, so a few can be taken off
    std::atomic<bool> workers_note_sleep_{false}; // the system does not tell who sleeps
    std::atomic<Clock::rep> coarse_now_{0};       // at its last look, or when it was unparked
    // Set by the monitor; cleared under monitor_mutex_.
    std::atomic<bool> monitor_parked_{false};

    Mutex monitor_mutex_;
    ExpiryList expiring_ GUARDED_BY(monitor_mutex_);
    bool monitor_ends_ GUARDED_BY(monitor_mutex_) = false; // it is to
    Cond monitor_wake_;

    Mutex crew_mutex_;
    size_t worker_count_ GUARDED_BY(crew_mutex_) = 0; // of all lanes, and those being made
    // Has left and is not joined yet: by the maker, the next one to leave, or stop().
    std::unique_ptr<Worker> unjoined_ GUARDED_BY(crew_mutex_);
    bool thread_refused_ GUARDED_BY(crew_mutex_) = false; // by the system, the last time
    bool maker_called_ GUARDED_BY(crew_mutex_) = false;   // some lane has asked for workers
    bool maker_ends_ GUARDED_BY(crew_mutex_) = false;     // it is to
    Cond maker_wake_;
    Cond all_left_;

    Thread monitor_;
    Thread maker_;
    bool monitor_started_ = false; // these two are used by start() and stop() alone
    bool maker_started_ = false;
};

} // namespace websock
