// workers.cpp: the life of a worker: who makes it, how it works, parks and leaves. How many
// there are to be is decided in monitor.cpp; see dispatcher.h.
#include "dispatch/dispatcher.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <sched.h>
#include <utility>

namespace websock {

namespace {

// Looks of the monitor: what has waited for so much longer elsewhere comes first. Measured, 100
// clients that flood and 4 that do not, p99 of those: one queue 1.8 ms, with 1 here 2.1, with
// 2 2.9.
constexpr uint64_t kOverdue = 1;

} // namespace

// The maker's thread, which also joins workers that have left.
void Dispatcher::run_maker()
{
    Lock lock(crew_mutex_);
    while (!maker_ends_) {
        if (std::unique_ptr<Worker> left = std::move(unjoined_)) {
            lock.unlock();
            join(std::move(left));
            lock.lock();
            continue;
        }
        if (!std::exchange(maker_called_, false)) {
            maker_wake_.wait(crew_mutex_);
            continue;
        }
        lock.unlock();
        for (const auto &lane : lanes_) {
            while (make_one_asked_for(*lane)) {
            }
        }
        lock.lock();
    }
}

// False: none is asked for, or it cannot be made. One that was asked for is no longer needed once
// nothing waits.
bool Dispatcher::make_one_asked_for(Lane &lane)
{
    {
        Lock lock(lane.mutex);
        if (lane.empty() && entry_.waiting_since() == Lane::kNothing)
            lane.workers_to_make = 0;
        if (lane.workers_to_make == 0)
            return false;
        --lane.workers_to_make;
    }
    const int error = add_worker(lane);
    note_outcome(lane, error);
    return error == 0;
}

// Of add_worker(). When the system refuses a thread, that is logged once, until it does not.
void Dispatcher::note_outcome(Lane &lane, int error)
{
    size_t waiting = 0;
    if (error != 0) {
        Lock lock(lane.mutex);
        lane.workers_to_make = 0; // until the monitor asks again
        waiting = lane.runs_queued();
    }
    {
        Lock lock(crew_mutex_);
        const bool refused = error != 0 && error != EBUSY && error != ESHUTDOWN;
        const bool was_refused = std::exchange(thread_refused_, refused);
        if (!refused || was_refused)
            return;
    }
    for (const auto &other : lanes_) {
        if (other.get() == &lane)
            continue;
        Lock lock(other->mutex);
        waiting += other->runs_queued();
    }
    char text[128];
    (void)std::snprintf(
        text, sizeof text,
        "cannot start another worker thread: %s; connections waiting for callbacks: %zu",
        std::strerror(error), waiting);
    options_.warn(text);
}

// Makes a worker, which is active from the start. 0, or an errno value: of the system's, EBUSY if
// there are max_workers already, ESHUTDOWN.
int Dispatcher::add_worker(Lane &lane)
{
    {
        Lock lock(crew_mutex_);
        if (stopping_)
            return ESHUTDOWN;
        if (options_.max_workers != 0 && worker_count_ >= options_.max_workers)
            return EBUSY;
        ++worker_count_;
    }
    Worker *worker = nullptr;
    try {
        auto made = std::make_unique<Worker>(*this, lane, coarse_now_);
        worker = made.get();
        Lock lock(lane.mutex);
        lane.add(std::move(made));
    } catch (const std::bad_alloc &) {
        Lock lock(crew_mutex_);
        uncount_worker();
        return ENOMEM;
    }
    const auto entry = [](void *argument) {
        Worker &self = *static_cast<Worker *>(argument);
        self.dispatcher.work(self);
    };
    const ThreadOptions thread{
        .name = "ws-worker", .stack_bytes = options_.stack_bytes, .mask = &options_.mask};
    const int error = worker->thread.launch(thread, entry, worker);
    if (error == 0)
        return 0;
    std::unique_ptr<Worker> unlaunched;
    {
        Lock lock(lane.mutex);
        unlaunched = lane.remove(*worker);
    }
    Lock lock(crew_mutex_);
    uncount_worker();
    return error;
}

void Dispatcher::uncount_worker()
{
    if (--worker_count_ == 0)
        all_left_.broadcast();
}

[[gnu::tls_model("initial-exec")]] thread_local constinit Worker *Dispatcher::worker_of_thread =
    nullptr;

void Dispatcher::work(Worker &worker)
{
    worker_of_thread = &worker;
    {
        Lock lock(worker.lane.mutex);
        worker.id = current_thread();
    }
    // So that when many are needed, not one thread makes them all, one by one.
    (void)make_one_asked_for(worker.lane);
    Runnable *done = nullptr;
    while (Runnable *const next = next_run(worker, done)) {
        run(worker, *next);
        done = next;
    }
}

// Ends the last run, if there was one, and begins the next. nullptr: the worker has left.
Runnable *Dispatcher::next_run(Worker &worker, Runnable *done)
{
    Runnable *next = end_run(worker);
    if (done)
        done->release(); // without the lock: it may be the end of a connection
    if (next)
        return next;
    next = take(worker);
    if (next)
        return next;
    // Whoever is about to post gets the chance to do so before this worker has gone to sleep.
    // Measured, 64 connections on both of two processors: 0.77 x the CPU time. Where there is one
    // processor it gains nothing, and 1.03 x for sessions.
    if (lanes_.size() > 1)
        sched_yield();
    TimePoint leave_at = Clock::now() + options_.idle_timeout;
    for (;;) {
        next = take(worker);
        if (next)
            return next;
        if (!park(worker, leave_at))
            return nullptr;
    }
}

// Begins the next run in the same lane at once, unless somebody elsewhere has waited for long.
Runnable *Dispatcher::end_run(Worker &worker)
{
    Lane *const elsewhere = first_elsewhere(worker);
    Lane &lane = worker.lane;
    Runnable *next = nullptr;
    const Runnable *after_next = nullptr;
    {
        Lock lock(lane.mutex);
        lane.end_run(worker);
        if (!elsewhere)
            next = lane.pop(lane);
        if (next)
            lane.begin_run(worker, *next, look_count());
        after_next = lane.front();
    }
    if (after_next)
        Runnable::prefetch(after_next);
    return elsewhere ? take_from(worker, *elsewhere) : next;
}

// Where somebody comes before those in the worker's own lane. nullptr: nowhere. That is who is new,
// or has been waiting for much longer: the workers of that lane may be stuck, and there may be no
// thread for another. Looks for those once between two looks of the monitor, or after each run
// while there is such a lane.
Lane *Dispatcher::first_elsewhere(Worker &worker)
{
    const uint64_t new_since = entry_.waiting_since();
    if (new_since != Lane::kNothing && new_since <= worker.lane.waiting_since())
        return &entry_;
    const uint64_t look = look_count();
    if (lanes_.size() == 1 || (look == worker.looked_around_at && !worker.found_overdue))
        return nullptr;
    worker.looked_around_at = look;
    uint64_t first = std::min(worker.lane.waiting_since(), look) - kOverdue;
    Lane *overdue = nullptr;
    for (const auto &lane : lanes_) {
        const uint64_t since = lane->waiting_since();
        if (since > first)
            continue;
        first = since;
        overdue = lane.get();
    }
    worker.found_overdue = overdue != nullptr;
    return overdue;
}

// From its own lane, from where it was woken to help, or from any other. nullptr: nothing waits.
Runnable *Dispatcher::take(Worker &worker)
{
    const size_t first = worker.lane.number;
    if (Lane *const elsewhere = first_elsewhere(worker)) {
        if (Runnable *runnable = take_from(worker, *elsewhere))
            return runnable;
    }
    if (Lane *const to_help = std::exchange(worker.helps, nullptr)) {
        if (Runnable *runnable = take_from(worker, *to_help))
            return runnable;
    }
    for (size_t i = 0; i < lanes_.size(); ++i) {
        if (Runnable *runnable = take_from(worker, *lanes_[(first + i) % lanes_.size()]))
            return runnable;
    }
    return take_from(worker, entry_);
}

// Takes the first runnable of that lane, and begins its run in the worker's own.
Runnable *Dispatcher::take_from(Worker &worker, Lane &from)
{
    if (from.waiting_since() == Lane::kNothing)
        return nullptr;
    Lane &lane = worker.lane;
    Runnable *runnable = nullptr;
    if (&from != &lane) {
        Lock lock(from.mutex);
        runnable = from.pop(lane);
        if (!runnable)
            return nullptr;
    }
    Lock lock(lane.mutex);
    if (!runnable)
        runnable = lane.pop(lane);
    if (runnable)
        lane.begin_run(worker, *runnable, look_count());
    return runnable;
}

void Dispatcher::run(Worker &worker, Runnable &runnable)
{
    const bool notes = workers_note_sleep_.load(std::memory_order_relaxed);
    const long before = notes ? sleeps_so_far() : 0;
    runnable.run(worker.progress, worker.spare);
    worker.progress.end_run();
    worker.slept = notes && sleeps_so_far() > before;
}

// Waits until something may have to be run. False: the worker has left.
//
// Whoever posts to a lane where all are busy looks whether another lane is idle. So a worker says
// that first, and then looks whether something waits anywhere, or it might be missed by both.
bool Dispatcher::park(Worker &worker, TimePoint &leave_at)
{
    Lane &lane = worker.lane;
    {
        Lock lock(lane.mutex);
        if (!lane.empty())
            return true;
        lane.park(worker);
    }
    const bool waits = !stopping_ && !has_waiting();
    const bool posted = waits && worker.wake.wait_until(leave_at);
    Lock lock(lane.mutex);
    if (std::exchange(worker.woken, false)) {
        worker.helps = std::exchange(worker.to_help, nullptr);
        lock.unlock();
        if (!posted)
            worker.wake.wait();
        return true;
    }
    lane.unpark(worker);
    if (has_waiting())
        return true;
    const bool is_surplus = waits && lane.workers() > 1;
    if (waits)
        leave_at = kNever; // it has waited for long, and stays if it is the only one
    if (!is_surplus && !stopping_)
        return true;
    std::unique_ptr<Worker> self = lane.remove(worker);
    lock.unlock();
    leave(std::move(self));
    return false;
}

// The maker joins it. If one that left before it still waits for that, this thread joins that one.
void Dispatcher::leave(std::unique_ptr<Worker> worker)
{
    std::unique_ptr<Worker> before;
    {
        Lock lock(crew_mutex_);
        before = std::exchange(unjoined_, std::move(worker));
        uncount_worker();
        maker_wake_.signal();
    }
    join(std::move(before));
}

void Dispatcher::join(std::unique_ptr<Worker> left)
{
    if (left)
        left->thread.join_launched();
}

} // namespace websock
