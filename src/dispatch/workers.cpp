// workers.cpp: the life of a worker: who makes it, how it works, parks and leaves. How many
// there are to be is decided in monitor.cpp; see dispatcher.h.
#include "dispatch/dispatcher.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

namespace websock {

// The maker's thread, which also joins workers that have left. A worker that was asked for is no
// longer needed once nothing waits.
void Dispatcher::run_maker()
{
    Lock lock(mutex_);
    while (!helpers_end_) {
        if (std::unique_ptr<Worker> left = std::move(unjoined_)) {
            lock.unlock();
            join(std::move(left));
            lock.lock();
            continue;
        }
        if (workers_to_make_ == 0 || queue_.empty()) {
            maker_wake_.wait(mutex_);
            continue;
        }
        --workers_to_make_;
        lock.unlock();
        note_outcome(add_worker());
        lock.lock();
    }
}

// Of add_worker(). When the system refuses a thread, that is logged once, until it does not.
void Dispatcher::note_outcome(int error)
{
    size_t waiting = 0;
    {
        Lock lock(mutex_);
        if (error != 0)
            workers_to_make_ = 0; // until the monitor asks again
        const bool refused = error != 0 && error != EBUSY && error != ESHUTDOWN;
        const bool was_refused = std::exchange(thread_refused_, refused);
        if (!refused || was_refused)
            return;
        waiting = runs_queued_;
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
int Dispatcher::add_worker()
{
    Worker *worker = nullptr;
    try {
        Lock lock(mutex_);
        if (stopping_)
            return ESHUTDOWN;
        if (options_.max_workers != 0 && workers_.size() >= options_.max_workers)
            return EBUSY;
        workers_.push_back(std::make_unique<Worker>(*this));
        worker = workers_.back().get();
        worker->index = workers_.size() - 1;
        activate(*worker);
    } catch (const std::bad_alloc &) {
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
    Lock lock(mutex_);
    (void)remove(*worker);
    return error;
}

void Dispatcher::work(Worker &worker)
{
    {
        Lock lock(mutex_);
        worker.id = current_thread();
    }
    Runnable *done = nullptr;
    bool slept = false;
    for (;;) {
        Runnable *next = nullptr;
        const Runnable *after_next = nullptr;
        {
            Lock lock(mutex_);
            end_run(worker, slept);
            next = begin_run(worker);
            after_next = queue_.front();
        }
        if (after_next)
            Runnable::prefetch(after_next);
        if (done)
            done->release(); // without the lock: it may be the end of a connection
        done = nullptr;
        if (!next) {
            Lock lock(mutex_);
            next = park(worker);
            if (!next) {
                std::unique_ptr<Worker> before = leave(worker);
                lock.unlock();
                return join(std::move(before));
            }
        }
        slept = run(worker, *next);
        done = next;
    }
}

// nullptr: the queue is empty.
Runnable *Dispatcher::begin_run(Worker &worker)
{
    Runnable *runnable = queue_.pop();
    if (!runnable)
        return nullptr;
    runs_queued_.store(runs_queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    worker.current = runnable;
    worker.run_number = ++run_count_;
    worker.run_began_at_look = look_count_;
    worker.on_time = true;
    on_time_.push_back(worker);
    return runnable;
}

// Whether it has slept meanwhile; false if that is not to be noted.
bool Dispatcher::run(Worker &worker, Runnable &runnable)
{
    const bool notes = workers_note_sleep_.load(std::memory_order_relaxed);
    const long before = notes ? sleeps_so_far() : 0;
    runnable.run(worker.progress, worker.spare);
    worker.progress.end_run();
    return notes && sleeps_so_far() > before;
}

void Dispatcher::end_run(Worker &worker, bool slept)
{
    if (!worker.current)
        return;
    worker.slept_in_last_run = slept;
    worker.current = nullptr;
    if (worker.on_time)
        on_time_.erase(worker);
    else
        --late_runs_;
    worker.on_time = false;
}

// Wakes the worker that parked last. False: none is parked.
bool Dispatcher::wake_one()
{
    if (active_ == workers_.size())
        return false;
    Worker &worker = *workers_[active_];
    worker.woken = true;
    activate(worker); // it counts from now, so that the next post() does not wake another for it
    worker.wake.signal();
    return true;
}

// Waits for a run, and begins it. nullptr: the worker is to leave.
Runnable *Dispatcher::park(Worker &worker)
{
    TimePoint leave_at = Clock::now() + options_.idle_timeout;
    for (;;) {
        if (Runnable *runnable = begin_run(worker))
            return runnable;
        if (stopping_)
            return nullptr;
        deactivate(worker);
        worker.woken = false;
        bool in_time = true;
        while (!worker.woken && !stopping_ && in_time)
            in_time = worker.wake.wait_until(mutex_, leave_at);
        if (worker.woken)
            continue;
        activate(worker);
        if (!stopping_ && workers_.size() > processors_)
            return nullptr;
        leave_at = kNever; // it is one of the few that stay
    }
}

// The maker joins it. If one that left before it still waits for that, returns that one, for this
// thread to join.
std::unique_ptr<Dispatcher::Worker> Dispatcher::leave(Worker &worker)
{
    maker_wake_.signal();
    return std::exchange(unjoined_, remove(worker));
}

void Dispatcher::join(std::unique_ptr<Worker> left)
{
    if (left)
        left->thread.join_launched();
}

void Dispatcher::activate(Worker &worker) { swap_places(worker.index, active_++); }

void Dispatcher::deactivate(Worker &worker) { swap_places(worker.index, --active_); }

void Dispatcher::swap_places(size_t a, size_t b)
{
    std::swap(workers_[a], workers_[b]);
    workers_[a]->index = a;
    workers_[b]->index = b;
}

// Takes an active worker out of workers_.
std::unique_ptr<Dispatcher::Worker> Dispatcher::remove(Worker &worker)
{
    deactivate(worker);
    swap_places(worker.index, workers_.size() - 1);
    std::unique_ptr<Worker> removed = std::move(workers_.back());
    workers_.pop_back();
    if (workers_.empty())
        all_left_.broadcast();
    return removed;
}

} // namespace websock
