// monitor.cpp: the dispatcher's monitor thread: how many workers there are, what is
// late, and deadlines that no thread is sleeping on. See dispatcher.h.
#include "dispatch/dispatcher.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::milliseconds kTick{1};
constexpr uint64_t kWholeTick = 2; // looks: the tick between them at least has passed
// A worker that computes for so long in one run counts as stuck, too: others shall have their
// turn.
constexpr std::chrono::milliseconds kHogging{100};
// A look at a thread costs some 8 us.
constexpr size_t kSampled = 4;  // workers, when there is reason to believe that some are stuck
constexpr uint64_t kSeldom = 4; // looks between two, while there is little
// Where the system does not tell: a run that long in which nothing was computed is asleep.
constexpr uint64_t kStill = 100;   // looks
constexpr size_t kToldAtOnce = 64; // runnables, between which the lock is let go
constexpr int kIdleTicks = 20;     // before it parks: parking and waking it has a price too

} // namespace

void Dispatcher::watch()
{
    Lock lock(mutex_);
    int idle_ticks = 0;
    while (!ends_) {
        idle_ticks = has_work() ? 0 : idle_ticks + 1;
        const TimePoint expiry = first_expiring_ ? first_expiring_->expires_at_ : kNever;
        if (idle_ticks < kIdleTicks) {
            monitor_wake_.wait_until(mutex_, std::min(expiry, Clock::now() + kTick));
        } else {
            monitor_parked_ = true;
            monitor_wake_.wait_until(mutex_, expiry);
            monitor_parked_ = false;
        }
        look();
    }
}

void Dispatcher::look()
{
    ++looks_;
    now_ = Clock::now().time_since_epoch().count();
    expire();
    tell_late();

    const bool waits = head_ && looks_ - head_->queued_in_ >= kWholeTick;
    const bool urgent = waits && (stuck_ > 0 || late_runs_ > 0);
    const bool of_use = waits || stuck_ > 0 || late_runs_ > 0;
    if (!urgent && !(of_use && looks_ % kSeldom == 0))
        return;
    stuck_ = count_stuck();
    // Up at once, down by a sixteenth: a server whose callbacks all block for a millisecond
    // must not wait for a look of the monitor with each of them.
    const size_t sinking = allowed_active_ - (allowed_active_ + 15) / 16;
    allowed_active_ = std::max(processors_ + stuck_, sinking);
    const size_t moving = active_ - std::min(stuck_, active_);
    if (waits && moving < processors_)
        grow(std::min(queued_.load(), std::max(processors_ - moving, stuck_)));
}

// Tells those whose run has lasted for a whole tick by now.
void Dispatcher::tell_late()
{
    std::array<Runnable *, kToldAtOnce> late;
    size_t count = 0;
    do {
        count = 0;
        for (Worker *worker = first_fresh_; worker && count < late.size();) {
            Worker &each = *std::exchange(worker, worker->later);
            if (looks_ - each.run_in < kWholeTick)
                break;
            if (each.progress.event_since() == kNever)
                continue; // at the next look, then
            unlink_fresh(each);
            ++late_runs_;
            each.cpu_time_when_late = cpu_time_of(each.id);
            each.current->retain();
            late[count++] = each.current;
        }
        mutex_.unlock();
        for (Runnable *runnable : std::span(late).first(count)) {
            runnable->late();
            runnable->release();
        }
        mutex_.lock();
    } while (count == late.size());
}

// How many of the active workers will not come back by themselves: a few of them stand for
// all. The clock does not tell: on a busy machine a worker that waits for a processor takes as
// long as one that sleeps, and more workers would make that worse (measured at 1000
// connections on one core: 200 workers and a p99 of 218 ms by the clock, 11 and 37 ms by what
// the system says of them). Nor does it matter how long one sleeps: where callbacks sleep
// for 50 us each, it is another one at each look, but as many.
size_t Dispatcher::count_stuck()
{
    const size_t looks = std::min(kSampled, active_);
    size_t stuck = 0;
    for (size_t i = 0; i < looks && active_ > 0; ++i) {
        Worker &worker = *workers_[next_sampled_++ % active_];
        stuck += worker.current && worker.id.number != 0 && is_stuck(worker);
    }
    return looks == 0 ? 0 : (stuck * active_ + looks - 1) / looks;
}

bool Dispatcher::is_stuck(Worker &worker)
{
    std::chrono::nanoseconds computed{0};
    if (!worker.fresh)
        computed = cpu_time_of(worker.id) - worker.cpu_time_when_late;
    if (computed >= kHogging)
        return true;
    // What is known without asking the system, in case it does not tell.
    const bool still = !worker.fresh && computed.count() == 0 && looks_ - worker.run_in >= kStill;
    const bool slept = worker.slept;
    const ThreadState state = state_in_run(worker);
    workers_tell_.store(state == ThreadState::unknown, std::memory_order_relaxed);
    return state == ThreadState::unknown ? slept || still : state == ThreadState::sleeps;
}

// What a worker's thread does in its run; runs, if that ends meanwhile.
ThreadState Dispatcher::state_in_run(Worker &worker)
{
    const ThreadId id = worker.id;
    const size_t index = worker.index;
    const uint64_t run = worker.run;
    mutex_.unlock();
    const ThreadState state = state_of(id);
    mutex_.lock();
    // The worker itself may have gone.
    const bool same = index < active_ && workers_[index]->run == run && workers_[index]->current;
    return same ? state : ThreadState::runs;
}

// Wakes idle workers, and has as many made as are still lacking.
void Dispatcher::grow(size_t count)
{
    while (count > 0 && wake_one())
        --count;
    wanted_ = count;
    if (wanted_ > 0)
        growth_wake_.signal();
}

// The thread that makes workers.
void Dispatcher::make_wanted()
{
    Lock lock(mutex_);
    while (!ends_) {
        if (wanted_ == 0 || !head_) {
            growth_wake_.wait(mutex_);
            continue;
        }
        --wanted_;
        lock.unlock();
        note_outcome(add_worker());
        lock.lock();
    }
}

void Dispatcher::note_outcome(int error)
{
    size_t waiting = 0;
    {
        Lock lock(mutex_);
        if (error != 0)
            wanted_ = 0; // until the monitor asks again
        const bool refused = error != 0 && error != EBUSY && error != ESHUTDOWN;
        const bool was_refused = std::exchange(short_of_threads_, refused);
        if (!refused || was_refused)
            return; // it is said once for each time
        waiting = queued_;
    }
    char text[128];
    (void)std::snprintf(text, sizeof text,
                        "no further worker thread: %s; %zu connections wait for callbacks",
                        std::strerror(error), waiting);
    options_.warn(text);
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

void Dispatcher::expire()
{
    const TimePoint now = Clock::now();
    while (first_expiring_ && first_expiring_->expires_at_ <= now) {
        Runnable &runnable = *first_expiring_;
        unlink_expiring(runnable);
        mutex_.unlock();
        runnable.expired();
        runnable.release();
        mutex_.lock();
    }
}

} // namespace websock
