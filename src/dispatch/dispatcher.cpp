// dispatcher.cpp: starting and stopping, the queue, and what is told of it; see dispatcher.h.
// The workers are in workers.cpp, the monitor in monitor.cpp.
#include "dispatch/dispatcher.h"

#include "base/processors.h"

#include <algorithm>
#include <utility>

namespace websock {

Dispatcher::~Dispatcher() { (void)stop(kNever); }

int Dispatcher::start(Options options)
{
    options_ = std::move(options);
    processors_ = processors();
    if (options_.max_workers != 0)
        processors_ = std::min(processors_, options_.max_workers);
    {
        Lock lock(mutex_);
        wake_below_ = processors_;
        stopping_ = helpers_end_ = false; // an earlier start may have failed
        update_coarse_now();
    }
    for (size_t i = 0; i < processors_; ++i) {
        const int error = add_worker();
        if (error != 0 && i == 0)
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

bool Dispatcher::stop(TimePoint deadline)
{
    Lock lock(mutex_);
    stopping_ = true;
    for (size_t i = active_; i < workers_.size(); ++i)
        workers_[i]->wake.signal();
    while (!workers_.empty()) {
        if (!all_left_.wait_until(mutex_, deadline))
            return false;
    }
    helpers_end_ = true;
    monitor_wake_.signal();
    maker_wake_.signal();
    std::unique_ptr<Worker> left = std::move(unjoined_);
    lock.unlock();
    join(std::move(left));
    if (std::exchange(monitor_started_, false))
        monitor_.join();
    if (std::exchange(maker_started_, false))
        maker_.join();
    lock.lock();
    while (Runnable *runnable = expiring_.front()) {
        (void)expiring_.remove(*runnable);
        runnable->release();
    }
    return true;
}

void Dispatcher::post(Runnable &runnable, bool sleeps)
{
    runnable.retain();
    Lock lock(mutex_);
    queue_.push(runnable, look_count_);
    runs_queued_.store(runs_queued_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const bool woken = (sleeps || active_ < wake_below_) && wake_one();
    if (sleeps && !woken) {
        ++workers_to_make_;
        maker_wake_.signal();
    }
    unpark_monitor();
}

void Dispatcher::unpark_monitor()
{
    if (!monitor_parked_)
        return;
    monitor_parked_ = false;
    update_coarse_now(); // the monitor did not while it was parked
    monitor_wake_.signal();
}

void Dispatcher::watch(Watched &watched)
{
    Lock lock(mutex_);
    watched.since_look = look_count_;
    watched.is_watched = true;
    watched_.push_back(watched);
    unpark_monitor();
}

void Dispatcher::unwatch(Watched &watched)
{
    Lock lock(mutex_);
    if (std::exchange(watched.is_watched, false))
        watched_.erase(watched);
}

void Dispatcher::expire_at(Runnable &runnable, TimePoint when)
{
    Lock lock(mutex_);
    if (!expiring_.add(runnable, when))
        return;
    runnable.retain();
    if (expiring_.front() == &runnable)
        monitor_wake_.signal();
}

void Dispatcher::forget(Runnable &runnable)
{
    {
        Lock lock(mutex_);
        if (!expiring_.remove(runnable))
            return;
    }
    runnable.release();
}

Dispatcher::Figures Dispatcher::figures()
{
    Lock lock(mutex_);
    Figures figures{.workers = workers_.size()};
    const TimePoint now = Clock::now();
    for (size_t i = 0; i < active_; ++i) {
        const TimePoint since = workers_[i]->progress.event_since();
        if (since == kNever)
            continue;
        ++figures.busy;
        figures.longest = std::max(figures.longest, now - since);
    }
    return figures;
}

std::string Dispatcher::running_for(int ms)
{
    Lock lock(mutex_);
    std::string names;
    const TimePoint now = Clock::now();
    for (size_t i = 0; i < active_; ++i) {
        const Worker &worker = *workers_[i];
        const TimePoint since = worker.progress.event_since();
        if (!worker.current || since == kNever || now - since < std::chrono::milliseconds(ms))
            continue;
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - since);
        names += names.empty() ? "" : ", ";
        names +=
            std::string(worker.current->name()) + " for " + std::to_string(age.count()) + " ms";
    }
    return names;
}

} // namespace websock
