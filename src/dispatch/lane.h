// lane.h: what one processor's worth of workers share: a run queue, and the workers themselves. To
// whom a post goes, who helps whom, and how many workers there are to be is decided in
// dispatcher.h.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/semaphore.h"
#include "base/thread.h"
#include "base/thread_state.h"
#include "dispatch/runnable.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace websock {

class Dispatcher;
class Lane;

struct Worker {
    Worker(Dispatcher &in, Lane &of, const std::atomic<Clock::rep> &coarse_now)
        : dispatcher(in), lane(of), progress(coarse_now)
    {
    }

    Dispatcher &dispatcher;
    Lane &lane;
    Thread thread;
    Semaphore wake; // posted once, without the lock, each time that woken is set
    Progress progress;
    // Its thread's alone:
    std::vector<uint8_t> spare;    // empty between two runs
    uint64_t looked_around_at = 0; // a look of the monitor
    bool found_overdue = false;    // then
    Lane *helps = nullptr;         // looks there first
    bool slept = false;            // in its last run; only if that is noted

    // Guarded by lane.mutex:
    ThreadId id;                 // none until its thread has begun
    size_t index = 0;            // among the lane's workers
    bool woken = false;          // it is active again, and has not taken the post of wake
    Lane *to_help = nullptr;     // where it was woken for
    Runnable *current = nullptr; // what it runs
    uint64_t run_number = 0;     // no other run, of any worker of the lane, has it
    uint64_t run_began_at_look = 0;
    bool on_time = false;                           // it is among the lane's
    std::chrono::nanoseconds cpu_time_when_late{0}; // set when it no longer is on time
    bool slept_in_last_run = false;
    Worker *previous = nullptr; // among those on time
    Worker *next = nullptr;
};

// What a thread that is no worker does, and is to be told of once it takes long.
struct Watched {
    explicit Watched(Runnable &of) : runnable(of) {}

    Runnable &runnable;
    Lane *lane = nullptr; // written and read by the thread that is watched
    // Guarded by lane->mutex:
    bool is_watched = false;
    uint64_t since_look = 0;
    Watched *previous = nullptr;
    Watched *next = nullptr;
};

class alignas(64) Lane
{
  public:
    // idle_lanes: of the dispatcher; this counts itself in and out.
    Lane(size_t number_of_this, std::atomic<size_t> &idle_lanes)
        : number(number_of_this), idle_lanes_(idle_lanes)
    {
    }

    const size_t number;
    Mutex mutex;

    // Since which look of the monitor its first runnable has been waiting; kNothing: none is. Any
    // thread.
    static constexpr uint64_t kNothing = UINT64_MAX;
    uint64_t waiting_since() const { return waiting_since_.load(std::memory_order_seq_cst); }
    // A worker is parked, and could be woken. Any thread.
    bool is_idle() const { return is_idle_.load(std::memory_order_relaxed); }

    // The lane that the runnable is posted to; nullptr: it was never posted. It changes only under
    // the lock of that lane, except for the first time; what was done there has happened before.
    static Lane *home_of(const Runnable &runnable)
    {
        return runnable.lane_.load(std::memory_order_acquire);
    }
    // From here to another lane, unless it is at home elsewhere by now, or still waits here.
    void move(Runnable &runnable, Lane &to) REQUIRES(mutex);
    // Unless it has one by now.
    static void settle(Runnable &runnable, Lane &lane)
    {
        Lane *none = nullptr;
        runnable.lane_.compare_exchange_strong(none, &lane, std::memory_order_relaxed);
    }

    bool empty() const REQUIRES(mutex) { return queue_.empty(); }
    const Runnable *front() const REQUIRES(mutex) { return queue_.front(); }
    size_t runs_queued() const REQUIRES(mutex) { return runs_queued_; } // as often as posted
    void push(Runnable &runnable, uint64_t look) REQUIRES(mutex);
    // The first one, which moves to another lane unless it still waits here; nullptr: there is
    // none.
    Runnable *pop(Lane &new_home) REQUIRES(mutex);

    void begin_run(Worker &worker, Runnable &runnable, uint64_t look) REQUIRES(mutex);
    void end_run(Worker &worker) REQUIRES(mutex);
    void leave_on_time(Worker &worker) REQUIRES(mutex);
    Worker *oldest_on_time() const REQUIRES(mutex) { return on_time_.front(); }
    size_t late_runs() const REQUIRES(mutex) { return late_runs_; } // running, and told so

    // The active ones come first.
    size_t workers() const REQUIRES(mutex) { return workers_.size(); }
    size_t active() const REQUIRES(mutex) { return active_; }
    Worker &worker(size_t index) const REQUIRES(mutex) { return *workers_[index]; }

    // Active from the start. Throws std::bad_alloc.
    void add(std::unique_ptr<Worker> worker) REQUIRES(mutex);
    std::unique_ptr<Worker> remove(Worker &worker) REQUIRES(mutex); // an active one
    void park(Worker &worker) REQUIRES(mutex);
    void unpark(Worker &worker) REQUIRES(mutex); // by itself, not woken
    // The worker that parked last is active again, and the caller must post its semaphore, best
    // without the lock. nullptr: none is parked.
    [[nodiscard]] Worker *wake_one(Lane *to_help) REQUIRES(mutex);
    bool has_parked() const REQUIRES(mutex) { return active_ < workers_.size(); }
    bool wants_one_awake() const REQUIRES(mutex) { return active_ < wake_below_; }

    // How many of its active workers will not come back by themselves.
    size_t stuck() const REQUIRES(mutex) { return stuck_; }
    void note_stuck(size_t count) REQUIRES(mutex);

    LinkedList<Watched> watched GUARDED_BY(mutex);
    size_t next_sampled GUARDED_BY(mutex) = 0;    // where the monitor's next sample begins
    size_t workers_to_make GUARDED_BY(mutex) = 0; // that were asked for

  private:
    void note_front() REQUIRES(mutex);
    void note_idle() REQUIRES(mutex);
    void activate(Worker &worker) REQUIRES(mutex);
    void deactivate(Worker &worker) REQUIRES(mutex);
    void swap_places(size_t a, size_t b) REQUIRES(mutex);

    RunQueue queue_ GUARDED_BY(mutex);
    size_t runs_queued_ GUARDED_BY(mutex) = 0;
    // The active ones first; behind them those that are parked, the latest to park first.
    std::vector<std::unique_ptr<Worker>> workers_ GUARDED_BY(mutex);
    size_t active_ GUARDED_BY(mutex) = 0;          // workers that are not parked
    size_t wake_below_ GUARDED_BY(mutex) = 1;      // while fewer are active, a post wakes one
    uint64_t run_count_ GUARDED_BY(mutex) = 0;     // runs that have begun
    LinkedList<Worker> on_time_ GUARDED_BY(mutex); // runs that are not late, the oldest first
    size_t late_runs_ GUARDED_BY(mutex) = 0;
    size_t stuck_ GUARDED_BY(mutex) = 0; // workers, as of the last sample
    // Read by workers of other lanes, so on a line of their own. Written under mutex.
    alignas(64) std::atomic<uint64_t> waiting_since_{kNothing};
    std::atomic<bool> is_idle_{false};
    std::atomic<size_t> &idle_lanes_;
};

} // namespace websock
