// dispatcher.cpp: starting and stopping, posting, and what is told of it; see dispatcher.h.
// The workers are in workers.cpp, the monitor in monitor.cpp.
#include "dispatch/dispatcher.h"

#include "base/processors.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace websock {

Dispatcher::~Dispatcher() { (void)stop(kNever); }

int Dispatcher::start(Options options)
{
    options_ = std::move(options);
    if (const int error = make_lanes(); error != 0)
        return error;
    {
        Lock lock(crew_mutex_);
        stopping_ = maker_ends_ = false; // an earlier start may have failed
    }
    {
        Lock lock(monitor_mutex_);
        monitor_ends_ = false;
        update_coarse_now();
    }
    for (const auto &lane : lanes()) {
        // The system may have fewer threads for us. Other lanes' workers help then.
        const int error = add_worker(*lane);
        if (error != 0 && lane == lanes_.front())
            return error;
    }
    const auto monitor = [](void *self) { static_cast<Dispatcher *>(self)->run_monitor(); };
    const auto maker = [](void *self) { static_cast<Dispatcher *>(self)->run_maker(); };
    int error = monitor_.start({.name = "ws-monitor"}, monitor, this);
    monitor_started_ = error == 0;
    if (error == 0)
        error = maker_.start({.name = "ws-maker"}, maker, this);
    maker_started_ = error == 0;
    if (error != 0)
        (void)stop(kNever);
    return error;
}

int Dispatcher::make_lanes()
try {
    if (!lanes().empty())
        return 0; // an earlier start may have failed
    size_t count = options_.processors != 0 ? options_.processors : processors();
    if (options_.max_workers != 0)
        count = std::min(count, options_.max_workers);
    lanes_.reserve(count);
    while (lanes_.size() < count)
        lanes_.push_back(std::make_unique<Lane>(lanes_.size(), idle_lanes_));
    lane_count_.store(count, std::memory_order_release);
    return 0;
} catch (const std::bad_alloc &) {
    return ENOMEM;
}

bool Dispatcher::stop(TimePoint deadline)
{
    {
        Lock lock(crew_mutex_);
        stopping_ = true;
    }
    for (const auto &lane : lanes()) {
        Lock lock(lane->mutex);
        while (Worker *worker = lane->wake_one(nullptr))
            worker->wake.post();
    }
    std::unique_ptr<Worker> left;
    {
        Lock lock(crew_mutex_);
        while (worker_count_ > 0) {
            if (!all_left_.wait_until(crew_mutex_, deadline))
                return false;
        }
        maker_ends_ = true;
        maker_wake_.signal();
        left = std::move(unjoined_);
    }
    join(std::move(left));
    {
        Lock lock(monitor_mutex_);
        monitor_ends_ = true;
        monitor_wake_.signal();
    }
    if (std::exchange(monitor_started_, false))
        monitor_.join();
    if (std::exchange(maker_started_, false))
        maker_.join();
    Lock lock(monitor_mutex_);
    while (Runnable *runnable = expiring_.front()) {
        (void)expiring_.remove(*runnable);
        runnable->release();
    }
    return true;
}

// Once the lane's lock is free, the runnable may run, and its run may be all that stop() waits
// for. So nothing here is touched after that but a worker that was woken: it waits for it.
void Dispatcher::post(Runnable &runnable, bool sleeps)
{
    runnable.retain();
    if (Worker *const poster = worker_of_thread; poster && &poster->dispatcher == this)
        move_to(runnable, poster->lane);
    for (;;) {
        Lane &lane = home_of(runnable);
        Lock lock(lane.mutex);
        if (Lane::home_of(runnable) != &lane)
            continue;
        lane.push(runnable, look_count());
        Worker *const woken = wake_for(lane, sleeps);
        unpark_monitor();
        lock.unlock();
        if (woken)
            woken->wake.post();
        return;
    }
}

// What a callback posts comes behind what waits in its own lane, and so before what the same lane
// is asked for next. A topic's slice must not wait for another processor while its publisher goes
// on.
void Dispatcher::move_to(Runnable &runnable, Lane &lane)
{
    Lane &home = home_of(runnable);
    if (&home == &lane)
        return;
    Lock lock(home.mutex);
    home.move(runnable, lane);
}

Lane &Dispatcher::home_of(Runnable &runnable)
{
    if (!Lane::home_of(runnable))
        Lane::settle(runnable, entry_);
    return *Lane::home_of(runnable);
}

// For something that was posted to the lane. The caller must post its semaphore.
Worker *Dispatcher::wake_for(Lane &lane, bool sleeps)
{
    if (sleeps || lane.wants_one_awake()) {
        if (Worker *worker = lane.wake_one(nullptr))
            return worker;
    }
    if (Worker *worker = wake_elsewhere(lane))
        return worker;
    if (sleeps && &lane != &entry_) // for that the monitor sees to it
        ask_for_workers(lane, lane.workers_to_make + 1);
    return nullptr;
}

// One of an idle lane. That lane's lock is only tried: each of two lanes might be about to help the
// other. If it is taken, that lane's worker looks here before it parks, or else the monitor wakes
// it at its next look.
Worker *Dispatcher::wake_elsewhere(Lane &lane)
{
    if (idle_lanes_.load(std::memory_order_seq_cst) == 0)
        return nullptr;
    for (size_t i = 1; i <= lanes_.size(); ++i) {
        Lane &other = *lanes_[(lane.number + i) % lanes_.size()];
        if (&other == &lane || !other.is_idle() || !other.mutex.try_lock())
            continue;
        Worker *const worker = other.is_idle() ? other.wake_one(&lane) : nullptr;
        other.mutex.unlock();
        if (worker)
            return worker;
    }
    return nullptr;
}

void Dispatcher::ask_for_workers(Lane &lane, size_t count)
{
    lane.workers_to_make = count;
    if (count == 0)
        return;
    Lock lock(crew_mutex_);
    maker_called_ = true;
    maker_wake_.signal();
}

// The monitor says that it is parked, and then looks whether all lanes are idle: under their locks,
// and at whether somebody new waits. So whoever has changed that since sees that it is parked.
void Dispatcher::unpark_monitor()
{
    if (!monitor_parked_.load(std::memory_order_seq_cst))
        return;
    Lock lock(monitor_mutex_);
    if (!monitor_parked_.exchange(false))
        return;
    update_coarse_now(); // the monitor did not while it was parked
    monitor_wake_.signal();
}

bool Dispatcher::has_waiting() const
{
    const auto waits = [](const auto &lane) { return lane->waiting_since() != Lane::kNothing; };
    return waits(&entry_) || std::ranges::any_of(lanes(), waits);
}

void Dispatcher::watch(Watched &watched)
{
    Lane &home = home_of(watched.runnable);
    Lane &lane = &home == &entry_ ? *lanes_.front() : home;
    watched.lane = &lane;
    Lock lock(lane.mutex);
    watched.since_look = look_count();
    watched.is_watched = true;
    lane.watched.push_back(watched);
    unpark_monitor();
}

void Dispatcher::unwatch(Watched &watched)
{
    Lane &lane = *watched.lane;
    Lock lock(lane.mutex);
    if (std::exchange(watched.is_watched, false))
        lane.watched.erase(watched);
}

void Dispatcher::expire_at(Runnable &runnable, TimePoint when)
{
    Lock lock(monitor_mutex_);
    if (!expiring_.add(runnable, when))
        return;
    runnable.retain();
    if (expiring_.front() == &runnable)
        monitor_wake_.signal();
}

void Dispatcher::forget(Runnable &runnable)
{
    {
        Lock lock(monitor_mutex_);
        if (!expiring_.remove(runnable))
            return;
    }
    runnable.release();
}

Dispatcher::Figures Dispatcher::figures()
{
    Figures figures;
    const TimePoint now = Clock::now();
    for (const auto &lane : lanes()) {
        Lock lock(lane->mutex);
        figures.workers += lane->workers();
        for (size_t i = 0; i < lane->active(); ++i) {
            const TimePoint since = lane->worker(i).progress.event_since();
            if (since == kNever)
                continue;
            ++figures.busy;
            figures.longest = std::max(figures.longest, now - since);
        }
    }
    return figures;
}

std::string Dispatcher::running_for(int ms)
{
    std::string names;
    const TimePoint now = Clock::now();
    for (const auto &lane : lanes()) {
        Lock lock(lane->mutex);
        for (size_t i = 0; i < lane->active(); ++i) {
            const Worker &worker = lane->worker(i);
            const TimePoint since = worker.progress.event_since();
            if (!worker.current || since == kNever || now - since < std::chrono::milliseconds(ms))
                continue;
            const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - since);
            names += names.empty() ? "" : ", ";
            names +=
                std::string(worker.current->name()) + " for " + std::to_string(age.count()) + " ms";
        }
    }
    return names;
}

} // namespace websock
