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
constexpr size_t kSampled = 4;        // workers of a lane at a time; to look at one costs some 8 us
constexpr size_t kSampledAtOnce = 16; // of all lanes
constexpr uint64_t kSeldom = 4;       // looks between two samples, while little speaks for one
// Where the system does not tell: a run that has computed nothing for so long sleeps.
constexpr uint64_t kStill = 100;   // looks
constexpr size_t kToldAtOnce = 64; // runnables, before the lock is taken again
constexpr int kIdleTicks = 20;     // before it parks: to park and wake it has a price, too

} // namespace

void Dispatcher::run_monitor()
{
    int idle_ticks = 0;
    do {
        idle_ticks = is_idle() ? idle_ticks + 1 : 0;
        bool parks = idle_ticks >= kIdleTicks;
        if (parks) {
            monitor_parked_ = true;
            parks = is_idle(); // see unpark_monitor()
        }
        if (!wait_for_look(parks))
            return;
        look();
    } while (true);
}

// Nothing is queued, running or watched.
bool Dispatcher::is_idle()
{
    return entry_.waiting_since() == Lane::kNothing &&
           std::ranges::all_of(lanes_, [](const auto &lane) {
               Lock lock(lane->mutex);
               return lane->empty() && lane->active() == 0 && lane->watched.empty();
           });
}

// Until the next tick, or, if it parks, until it is unparked; or until something expires. False:
// the monitor is to end.
bool Dispatcher::wait_for_look(bool parks)
{
    Lock lock(monitor_mutex_);
    const TimePoint expiry = expiring_.front_expires_at();
    const bool unparked = parks && !monitor_parked_;
    if (!unparked && !monitor_ends_)
        monitor_wake_.wait_until(monitor_mutex_,
                                 parks ? expiry : std::min(expiry, Clock::now() + kTick));
    monitor_parked_ = false;
    return !monitor_ends_;
}

void Dispatcher::look()
{
    look_count_.fetch_add(1, std::memory_order_relaxed);
    update_coarse_now();
    tell_expired();
    size_t samples = kSampledAtOnce;
    for (size_t i = 0; i < lanes_.size(); ++i)
        look_at(*lanes_[(look_count() + i) % lanes_.size()], samples);
}

void Dispatcher::look_at(Lane &lane, size_t &samples)
{
    tell_late(lane);
    Lock lock(lane.mutex);
    const uint64_t since = std::min(lane.waiting_since(), entry_.waiting_since());
    const bool some_wait = since != Lane::kNothing && look_count() - since >= kWholeTick;
    if (Worker *const helper = some_wait ? wake_elsewhere(lane) : nullptr)
        helper->wake.post();
    const bool some_block = lane.stuck() > 0 || lane.late_runs() > 0;
    const bool both = some_wait && some_block;
    const bool either = some_wait || some_block;
    if (!both && !(either && look_count() % kSeldom == 0))
        return;
    if (samples == 0)
        return; // its turn comes
    lane.note_stuck(estimate_stuck(lane, samples));
    const size_t moving = lane.active() - std::min(lane.stuck(), lane.active());
    if (some_wait && moving == 0)
        call_for_workers(lane, std::max<size_t>(1, std::min(lane.runs_queued(), lane.stuck())));
}

// Wakes idle workers, and asks the maker for as many as are still missing.
void Dispatcher::call_for_workers(Lane &lane, size_t count)
{
    for (; count > 0; --count) {
        Worker *const worker = lane.wake_one(nullptr);
        if (!worker)
            break;
        worker->wake.post();
    }
    for (size_t i = 1; i < lanes_.size() && count > 0; ++i) {
        Lane &other = *lanes_[(lane.number + i) % lanes_.size()];
        if (!other.mutex.try_lock())
            continue;
        for (; count > 0; --count) {
            Worker *const worker = other.wake_one(&lane);
            if (!worker)
                break;
            worker->wake.post();
        }
        other.mutex.unlock();
    }
    ask_for_workers(lane, count);
}

void Dispatcher::tell_expired()
{
    const TimePoint now = Clock::now();
    Lock lock(monitor_mutex_);
    while (expiring_.front_expires_at() <= now) {
        Runnable &runnable = *expiring_.front();
        (void)expiring_.remove(runnable);
        lock.unlock();
        runnable.expired();
        runnable.release();
        lock.lock();
    }
}

// Tells those whose run has lasted for a whole tick, or that have been watched for one.
void Dispatcher::tell_late(Lane &lane)
{
    std::array<Runnable *, kToldAtOnce> late;
    size_t count = 0;
    do {
        {
            Lock lock(lane.mutex);
            count = take_late(lane, late);
        }
        for (Runnable *runnable : std::span(late).first(count)) {
            runnable->late();
            runnable->release();
        }
    } while (count == late.size());
}

// As many as there are, and as fit in; with a reference to each.
size_t Dispatcher::take_late(Lane &lane, std::span<Runnable *> late)
{
    size_t count = 0;
    for (Worker *worker = lane.oldest_on_time(); worker && count < late.size();) {
        Worker &each = *std::exchange(worker, worker->next);
        if (look_count() - each.run_began_at_look < kWholeTick)
            break;
        if (each.progress.event_since() == kNever)
            continue; // between two events; the next look may find it in one
        lane.leave_on_time(each);
        each.cpu_time_when_late = cpu_time_of(each.id);
        each.current->retain();
        late[count++] = each.current;
    }
    while (Watched *const watched = lane.watched.front()) {
        if (count == late.size() || look_count() - watched->since_look < kWholeTick)
            break;
        lane.watched.erase(*watched);
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
size_t Dispatcher::estimate_stuck(Lane &lane, size_t &samples)
{
    const size_t sampled = std::min({kSampled, samples, lane.active()});
    samples -= sampled;
    size_t stuck = 0;
    for (size_t i = 0; i < sampled && lane.active() > 0; ++i) {
        Worker &worker = lane.worker(lane.next_sampled++ % lane.active());
        stuck += worker.current && worker.id.number != 0 && is_stuck(lane, worker);
    }
    return sampled == 0 ? 0 : (stuck * lane.active() + sampled - 1) / sampled;
}

bool Dispatcher::is_stuck(Lane &lane, Worker &worker)
{
    std::chrono::nanoseconds computed{0};
    if (!worker.on_time)
        computed = cpu_time_of(worker.id) - worker.cpu_time_when_late;
    if (computed >= kHogging)
        return true;
    // What is known without asking the system, in case it does not tell.
    const bool still = !worker.on_time && computed.count() == 0 &&
                       look_count() - worker.run_began_at_look >= kStill;
    const bool slept = worker.slept_in_last_run;
    const ThreadState state = state_in_run(lane, worker);
    workers_note_sleep_.store(state == ThreadState::unknown, std::memory_order_relaxed);
    return state == ThreadState::unknown ? slept || still : state == ThreadState::sleeps;
}

// What a worker's thread does in its present run; runs, if that run ends meanwhile. Lets go of
// the lock, and then the worker may have gone.
ThreadState Dispatcher::state_in_run(Lane &lane, Worker &worker)
{
    const ThreadId id = worker.id;
    const size_t index = worker.index;
    const uint64_t run_number = worker.run_number;
    lane.mutex.unlock();
    const ThreadState state = state_of(id);
    lane.mutex.lock();
    const bool same_run = index < lane.active() && lane.worker(index).run_number == run_number &&
                          lane.worker(index).current;
    return same_run ? state : ThreadState::runs;
}

} // namespace websock
