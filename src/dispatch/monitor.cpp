// monitor.cpp: the dispatcher's monitor thread. It decides how many workers there are to be,
// and tells runnables that they are late or have expired. How workers are made is in
// workers.cpp; see dispatcher.h.
#include "dispatch/dispatcher.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::milliseconds kTick{1}; // between two looks
constexpr uint64_t kWholeTick = 2;            // looks, within which a whole tick has passed
// A worker that has computed for so long in one run counts as stuck, too: others are to get
// their turn.
constexpr std::chrono::milliseconds kHogging{100};
constexpr size_t kSampled = 4;  // workers at a time; to look at one thread costs some 8 us
constexpr uint64_t kSeldom = 4; // looks between two samples, while little speaks for one
// Where the system does not tell: a run that has computed nothing for so long sleeps.
constexpr uint64_t kStill = 100;   // looks
constexpr size_t kToldAtOnce = 64; // runnables, before the lock is taken again
constexpr int kIdleTicks = 20;     // before it parks: to park and wake it has a price, too

} // namespace

void Dispatcher::run_monitor()
{
    Lock lock(mutex_);
    int idle_ticks = 0;
    while (!helpers_end_) {
        const bool is_idle = queue_.empty() && active_ == 0 && watched_.empty();
        idle_ticks = is_idle ? idle_ticks + 1 : 0;
        const TimePoint expiry = expiring_.front_expires_at();
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
    ++look_count_;
    update_coarse_now();
    tell_expired();
    tell_late();

    const bool some_wait =
        !queue_.empty() && look_count_ - queue_.front_queued_at_look() >= kWholeTick;
    const bool some_block = stuck_ > 0 || late_runs_ > 0;
    const bool both = some_wait && some_block;
    const bool either = some_wait || some_block;
    if (!both && !(either && look_count_ % kSeldom == 0))
        return;
    stuck_ = estimate_stuck();
    // Up at once, down by a sixteenth: a server whose callbacks all block for a millisecond
    // must not wait for a look of the monitor with each of them.
    const size_t sinking = wake_below_ - (wake_below_ + 15) / 16;
    wake_below_ = std::max(processors_ + stuck_, sinking);
    const size_t moving = active_ - std::min(stuck_, active_);
    if (some_wait && moving < processors_)
        call_for_workers(std::min(runs_queued_.load(), std::max(processors_ - moving, stuck_)));
}

// Wakes idle workers, and asks the maker for as many as are still missing.
void Dispatcher::call_for_workers(size_t count)
{
    while (count > 0 && wake_one())
        --count;
    workers_to_make_ = count;
    if (workers_to_make_ > 0)
        maker_wake_.signal();
}

void Dispatcher::tell_expired()
{
    const TimePoint now = Clock::now();
    while (expiring_.front_expires_at() <= now) {
        Runnable &runnable = *expiring_.front();
        (void)expiring_.remove(runnable);
        mutex_.unlock();
        runnable.expired();
        runnable.release();
        mutex_.lock();
    }
}

// Tells those whose run has lasted for a whole tick, or that have been watched for one.
void Dispatcher::tell_late()
{
    std::array<Runnable *, kToldAtOnce> late;
    size_t count = 0;
    do {
        count = take_late(late);
        mutex_.unlock();
        for (Runnable *runnable : std::span(late).first(count)) {
            runnable->late();
            runnable->release();
        }
        mutex_.lock();
    } while (count == late.size());
}

// As many as there are, and as fit in; with a reference to each.
size_t Dispatcher::take_late(std::span<Runnable *> late)
{
    size_t count = 0;
    for (Worker *worker = on_time_.front(); worker && count < late.size();) {
        Worker &each = *std::exchange(worker, worker->next);
        if (look_count_ - each.run_began_at_look < kWholeTick)
            break;
        if (each.progress.event_since() == kNever)
            continue; // between two events; the next look may find it in one
        on_time_.erase(each);
        each.on_time = false;
        ++late_runs_;
        each.cpu_time_when_late = cpu_time_of(each.id);
        each.current->retain();
        late[count++] = each.current;
    }
    while (Watched *const watched = watched_.front()) {
        if (count == late.size() || look_count_ - watched->since_look < kWholeTick)
            break;
        watched_.erase(*watched);
        watched->is_watched = false;
        watched->runnable.retain();
        late[count++] = &watched->runnable;
    }
    return count;
}

// How many of the active workers will not come back by themselves: a few of them stand for all.
//
// The clock does not tell: on a busy machine a worker that waits for a processor takes as long
// as one that sleeps, and more workers would make that worse. Measured at 1000 connections on
// one core: 200 workers and a p99 of 218 ms by the clock; 11 workers and 37 ms by what the
// system says of them. Nor does it matter how long one sleeps: where callbacks sleep for 50 us
// each, every look finds other workers asleep, but as many.
size_t Dispatcher::estimate_stuck()
{
    const size_t sampled = std::min(kSampled, active_);
    size_t stuck = 0;
    for (size_t i = 0; i < sampled && active_ > 0; ++i) {
        Worker &worker = *workers_[next_sampled_++ % active_];
        stuck += worker.current && worker.id.number != 0 && is_stuck(worker);
    }
    return sampled == 0 ? 0 : (stuck * active_ + sampled - 1) / sampled;
}

bool Dispatcher::is_stuck(Worker &worker)
{
    std::chrono::nanoseconds computed{0};
    if (!worker.on_time)
        computed = cpu_time_of(worker.id) - worker.cpu_time_when_late;
    if (computed >= kHogging)
        return true;
    // What is known without asking the system, in case it does not tell.
    const bool still = !worker.on_time && computed.count() == 0 &&
                       look_count_ - worker.run_began_at_look >= kStill;
    const bool slept = worker.slept_in_last_run;
    const ThreadState state = state_in_run(worker);
    workers_note_sleep_.store(state == ThreadState::unknown, std::memory_order_relaxed);
    return state == ThreadState::unknown ? slept || still : state == ThreadState::sleeps;
}

// What a worker's thread does in its present run; runs, if that run ends meanwhile. Lets go of
// the lock, and then the worker may have gone.
ThreadState Dispatcher::state_in_run(Worker &worker)
{
    const ThreadId id = worker.id;
    const size_t index = worker.index;
    const uint64_t run_number = worker.run_number;
    mutex_.unlock();
    const ThreadState state = state_of(id);
    mutex_.lock();
    const bool same_run =
        index < active_ && workers_[index]->run_number == run_number && workers_[index]->current;
    return same_run ? state : ThreadState::runs;
}

} // namespace websock
