// monitor.cpp: the dispatcher's monitor thread: how many workers there are, what is
// late, and deadlines that no thread is sleeping on. See dispatcher.h.
#include "dispatcher.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::milliseconds kTick{1};
constexpr std::chrono::milliseconds kWaitedTooLong{1};
constexpr std::chrono::milliseconds kLate{1};
// A worker that long in one event may be stuck. Shorter than a tick, so that callbacks
// which each block a millisecond are seen as what they are.
constexpr std::chrono::microseconds kOverdue{250};
// And that long it counts as stuck even if it computes: others shall have their turn.
constexpr std::chrono::milliseconds kHogging{100};
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

    const Survey seen = survey(now);
    mutex_.unlock();
    const size_t stuck = stuck_among(seen);
    for (Runnable *runnable : seen.late) {
        runnable->late();
        runnable->release();
    }
    mutex_.lock();

    // Up at once, down by a sixteenth a tick: a server whose callbacks all block for a
    // millisecond must not wait for a tick of the monitor with each of them.
    const size_t sinking = allowed_active_ - (allowed_active_ + 15) / 16;
    allowed_active_ = std::max(processors_ + stuck, sinking);
    if (head_ && now - head_->queued_at_ >= kWaitedTooLong) {
        const size_t moving = active_ - std::min(stuck, active_);
        const size_t lacking = processors_ - std::min(moving, processors_);
        grow(std::min(queued_, std::max(lacking, stuck)));
    }
}

Dispatcher::Survey Dispatcher::survey(TimePoint now)
{
    Survey seen;
    ++surveys_;
    for (size_t i = 0; i < workers_.size(); ++i) {
        // Not the same ones are the sample each time.
        Worker &worker = *workers_[(i + surveys_) % workers_.size()];
        if (!worker.current)
            continue;
        const bool stuck = may_be_stuck(worker, now);
        const TimePoint event_since = Dispatcher::event_since(worker, now);
        const bool hogging = event_since < now && now - event_since >= kHogging;
        if (stuck && worker.id != 0) {
            ++seen.overdue;
            seen.hogging += hogging;
            if (!hogging && seen.sampled < kSampled)
                seen.sample[seen.sampled++] = worker.id;
        }
        const TimePoint run_since = worker.progress.run_since();
        const bool late = run_since < now && now - run_since >= kLate;
        if (worker.told_late || !late || !worker.progress.in_event())
            continue;
        try {
            seen.late.push_back(worker.current);
        } catch (const std::bad_alloc &) {
            continue; // at the next tick, then
        }
        worker.current->retain();
        worker.told_late = true;
    }
    surveyed_at_ = now;
    return seen;
}

// Whether it is long in its event, or its events have been long since the last look, on
// the average: each of many that block for half a millisecond is another one at each look.
bool Dispatcher::may_be_stuck(Worker &worker, TimePoint now)
{
    const uint64_t begun = worker.progress.event() - worker.event;
    if (begun > 0) {
        worker.event += begun;
        worker.event_since = now;
    }
    const TimePoint event_since = Dispatcher::event_since(worker, now);
    if (event_since < now && now - event_since >= kOverdue)
        return true;
    const TimePoint run_since = worker.progress.run_since();
    return run_since < now && now - run_since >= kOverdue && begun * kOverdue <= now - surveyed_at_;
}

// How many workers will not come back by themselves. The clock alone does not tell: on a
// busy machine a worker that waits for a processor takes as long as one that sleeps, and
// more workers would make that worse (measured at 1000 connections on one core: 200
// workers and a p99 of 218 ms by the clock, 11 and 37 ms this way). So the system is
// asked about a few of them, and they stand for all.
size_t Dispatcher::stuck_among(const Survey &survey)
{
    if (survey.sampled == 0)
        return survey.hogging;
    const auto end = survey.sample.begin() + static_cast<std::ptrdiff_t>(survey.sampled);
    const auto asleep = std::count_if(survey.sample.begin(), end, is_asleep);
    const size_t others = survey.overdue - survey.hogging;
    return survey.hogging +
           (others * static_cast<size_t>(asleep) + survey.sampled - 1) / survey.sampled;
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
            char text[128];
            (void)std::snprintf(text, sizeof text,
                                "no further worker thread: %s; %zu connections wait for callbacks",
                                std::strerror(error), waiting);
            options_.warn(text);
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
