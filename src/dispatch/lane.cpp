// lane.cpp: see lane.h.
#include "dispatch/lane.h"

#include <utility>

namespace websock {

void Lane::push(Runnable &runnable, uint64_t look)
{
    ++runs_queued_;
    const bool was_empty = queue_.empty();
    queue_.push(runnable, look);
    if (was_empty)
        note_front();
}

Runnable *Lane::pop(Lane &new_home)
{
    Runnable *const runnable = queue_.pop();
    if (!runnable)
        return nullptr;
    --runs_queued_;
    note_front();
    move(*runnable, new_home);
    return runnable;
}

void Lane::move(Runnable &runnable, Lane &to)
{
    if (home_of(runnable) == this && !RunQueue::has(runnable))
        runnable.lane_.store(&to, std::memory_order_release);
}

// Ordered with idle_lanes_: see Dispatcher::park().
void Lane::note_front()
{
    const uint64_t since = queue_.empty() ? kNothing : queue_.front_queued_at_look();
    if (since != waiting_since_.load(std::memory_order_relaxed))
        waiting_since_.store(since, std::memory_order_seq_cst);
}

void Lane::begin_run(Worker &worker, Runnable &runnable, uint64_t look)
{
    worker.current = &runnable;
    worker.run_number = ++run_count_;
    worker.run_began_at_look = look;
    worker.on_time = true;
    on_time_.push_back(worker);
}

void Lane::end_run(Worker &worker)
{
    if (!worker.current)
        return;
    worker.slept_in_last_run = worker.slept;
    worker.current = nullptr;
    if (worker.on_time)
        on_time_.erase(worker);
    else
        --late_runs_;
    worker.on_time = false;
}

void Lane::leave_on_time(Worker &worker)
{
    on_time_.erase(worker);
    worker.on_time = false;
    ++late_runs_;
}

void Lane::add(std::unique_ptr<Worker> worker)
{
    workers_.push_back(std::move(worker));
    Worker &added = *workers_.back();
    added.index = workers_.size() - 1;
    activate(added);
    note_idle();
}

std::unique_ptr<Worker> Lane::remove(Worker &worker)
{
    deactivate(worker);
    swap_places(worker.index, workers_.size() - 1);
    std::unique_ptr<Worker> removed = std::move(workers_.back());
    workers_.pop_back();
    note_idle();
    return removed;
}

void Lane::park(Worker &worker)
{
    deactivate(worker);
    note_idle();
}

void Lane::unpark(Worker &worker)
{
    activate(worker);
    note_idle();
}

Worker *Lane::wake_one(Lane *to_help)
{
    if (!has_parked())
        return nullptr;
    Worker &worker = *workers_[active_];
    worker.woken = true;
    worker.to_help = to_help;
    activate(worker); // it counts from now, so that the next post does not wake another for it
    note_idle();
    return &worker;
}

// Up at once, down by a sixteenth: a server whose callbacks all block for a millisecond must not
// wait for a look of the monitor with each of them.
void Lane::note_stuck(size_t count)
{
    stuck_ = count;
    const size_t sinking = wake_below_ - (wake_below_ + 15) / 16;
    wake_below_ = std::max(1 + stuck_, sinking);
    note_idle();
}

// Ordered with waiting_since_: see Dispatcher::park().
void Lane::note_idle()
{
    const bool is_idle = has_parked() && wants_one_awake();
    if (is_idle == is_idle_.load(std::memory_order_relaxed))
        return;
    is_idle_.store(is_idle, std::memory_order_relaxed);
    if (is_idle)
        idle_lanes_.fetch_add(1, std::memory_order_seq_cst);
    else
        idle_lanes_.fetch_sub(1, std::memory_order_seq_cst);
}

void Lane::activate(Worker &worker) { swap_places(worker.index, active_++); }

void Lane::deactivate(Worker &worker) { swap_places(worker.index, --active_); }

void Lane::swap_places(size_t a, size_t b)
{
    std::swap(workers_[a], workers_[b]);
    workers_[a]->index = a;
    workers_[b]->index = b;
}

} // namespace websock
