// monitor.cpp: the dispatcher's monitor thread: how many workers there are, what is
// late, and deadlines that no thread is sleeping on. See dispatcher.h.
#include "dispatcher.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::milliseconds kTick{1};
constexpr std::chrono::milliseconds kWaitedTooLong{1};
constexpr std::chrono::milliseconds kLate{1};
// A worker that long in one event is not coming back at once. Shorter than a tick, so
// that callbacks which each block a millisecond are seen as what they are.
constexpr std::chrono::microseconds kStuck{250};
constexpr int kIdleTicks = 20; // before it parks: parking and waking it has a price too

} // namespace

void Dispatcher::watch()
{
    Lock lock(mutex_);
    int idle_ticks = 0;
    while (!monitor_ends_) {
        idle_ticks = has_work() ? 0 : idle_ticks + 1;
        const TimePoint expiry = first_expiring_ ? first_expiring_->expires_at_ : kNever;
        if (idle_ticks < kIdleTicks) {
            monitor_wake_.wait_until(mutex_, std::min(expiry, Clock::now() + kTick));
        } else {
            monitor_parked_ = true;
            monitor_wake_.wait_until(mutex_, expiry);
            monitor_parked_ = false;
        }
        tick(Clock::now());
    }
}

void Dispatcher::tick(TimePoint now)
{
    reap();
    expire(now);

    std::vector<Runnable *> late;
    const size_t stuck = measure(now, late);
    // Up at once, down by a sixteenth a tick: a server whose callbacks all block for a
    // millisecond must not wait for a tick of the monitor with each of them.
    const size_t sinking = allowed_active_ - (allowed_active_ + 15) / 16;
    allowed_active_ = std::max(processors_ + stuck, sinking);

    if (head_ && now - head_->queued_at_ >= kWaitedTooLong) {
        const size_t moving = active_ - std::min(stuck, active_);
        const size_t lacking = processors_ - std::min(moving, processors_);
        grow(std::min(queued_, std::max(lacking, stuck)));
    }

    mutex_.unlock();
    for (Runnable *runnable : late) {
        runnable->late();
        runnable->release();
    }
    mutex_.lock();
}

// Counts the workers that are stuck in an event, and collects, retained, what is to be
// told that it is late.
size_t Dispatcher::measure(TimePoint now, std::vector<Runnable *> &late)
{
    size_t stuck = 0;
    for (const auto &worker : workers_) {
        if (!worker->current)
            continue;
        const TimePoint event_since = worker->progress.event_since();
        const TimePoint run_since = worker->progress.run_since();
        if (event_since < now && now - event_since >= kStuck)
            ++stuck;
        if (worker->told_late || run_since > now || now - run_since < kLate)
            continue;
        try {
            late.push_back(worker->current);
        } catch (const std::bad_alloc &) {
            continue; // at the next tick, then
        }
        worker->current->retain();
        worker->told_late = true;
    }
    return stuck;
}

void Dispatcher::grow(size_t count)
{
    while (count > 0 && wake_one())
        --count;
    while (count > 0 && !stopping_) {
        if (options_.max_workers != 0 && workers_.size() >= options_.max_workers)
            return;
        mutex_.unlock();
        const int error = add_worker();
        mutex_.lock();
        if (error != 0) {
            const size_t waiting = queued_;
            if (std::exchange(short_of_threads_, true))
                return;
            mutex_.unlock();
            options_.warn("no further worker thread: " + std::string(std::strerror(error)) + "; " +
                          std::to_string(waiting) + " connections wait for their callbacks");
            mutex_.lock();
            return;
        }
        short_of_threads_ = false;
        --count;
    }
}

void Dispatcher::expire_at(Runnable &runnable, TimePoint when)
{
    Lock lock(mutex_);
    if (runnable.expires_at_ != kNever)
        return;
    runnable.retain();
    runnable.expires_at_ = when;
    // From the end, since later calls mostly mean later times.
    Runnable *before = last_expiring_;
    while (before && before->expires_at_ > when)
        before = before->earlier_;
    runnable.earlier_ = before;
    runnable.later_ = before ? before->later_ : first_expiring_;
    (before ? before->later_ : first_expiring_) = &runnable;
    (runnable.later_ ? runnable.later_->earlier_ : last_expiring_) = &runnable;
    if (first_expiring_ == &runnable)
        monitor_wake_.signal();
}

void Dispatcher::forget(Runnable &runnable)
{
    {
        Lock lock(mutex_);
        if (runnable.expires_at_ == kNever)
            return;
        unlink_expiring(runnable);
    }
    runnable.release();
}

void Dispatcher::unlink_expiring(Runnable &runnable)
{
    (runnable.earlier_ ? runnable.earlier_->later_ : first_expiring_) = runnable.later_;
    (runnable.later_ ? runnable.later_->earlier_ : last_expiring_) = runnable.earlier_;
    runnable.earlier_ = runnable.later_ = nullptr;
    runnable.expires_at_ = kNever;
}

void Dispatcher::expire(TimePoint now)
{
    while (first_expiring_ && first_expiring_->expires_at_ <= now) {
        Runnable &runnable = *first_expiring_;
        unlink_expiring(runnable);
        mutex_.unlock();
        runnable.expired();
        runnable.release();
        mutex_.lock();
    }
}

void Dispatcher::reap()
{
    while (!left_.empty()) {
        const std::unique_ptr<Worker> worker = std::move(left_.back());
        left_.pop_back();
        mutex_.unlock();
        worker->thread.join_ending();
        mutex_.lock();
    }
}

} // namespace websock
