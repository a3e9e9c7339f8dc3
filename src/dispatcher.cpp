// dispatcher.cpp: the queue and the workers; see dispatcher.h. Their number is
// monitor.cpp's.
#include "dispatcher.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <unistd.h>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::seconds kIdleWorkerLeaves{10};

} // namespace

Dispatcher::~Dispatcher() { (void)stop(kNever); }

int Dispatcher::start(Options options)
{
    options_ = std::move(options);
    processors_ = processors();
    if (options_.max_workers != 0)
        processors_ = std::min(processors_, options_.max_workers);
    {
        Lock lock(mutex_);
        allowed_active_ = processors_;
        stopping_ = monitor_ends_ = false; // an earlier start may have failed
    }
    for (size_t i = 0; i < processors_; ++i) {
        const int error = add_worker();
        if (error != 0 && i == 0)
            return error;
    }
    const auto watch_entry = [](void *self) { static_cast<Dispatcher *>(self)->watch(); };
    const int error = monitor_.start({.name = "ws-monitor"}, watch_entry, this);
    if (error != 0) {
        (void)stop(kNever);
        return error;
    }
    monitor_started_ = true;
    return 0;
}

bool Dispatcher::stop(TimePoint deadline)
{
    Lock lock(mutex_);
    stopping_ = true;
    for (Worker *worker = idle_; worker; worker = worker->below)
        worker->wake.signal();
    while (!workers_.empty()) {
        if (!all_left_.wait_until(mutex_, deadline))
            return false;
    }
    monitor_ends_ = true;
    monitor_wake_.signal();
    lock.unlock();
    if (std::exchange(monitor_started_, false))
        monitor_.join();
    lock.lock();
    reap();
    while (first_expiring_) {
        Runnable &runnable = *first_expiring_;
        unlink_expiring(runnable);
        runnable.release();
    }
    return true;
}

// Makes a worker, active from the start. 0 or an errno value.
int Dispatcher::add_worker()
{
    Worker *worker = nullptr;
    try {
        Lock lock(mutex_);
        workers_.reserve(workers_.size() + 1);
        left_.reserve(workers_.capacity() + left_.size()); // so that leaving cannot fail
        workers_.push_back(std::make_unique<Worker>());
        worker = workers_.back().get();
        worker->dispatcher = this;
        ++active_;
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    }
    const auto entry = [](void *argument) {
        Worker &self = *static_cast<Worker *>(argument);
        self.dispatcher->work(self);
    };
    const ThreadOptions thread{.name = "ws-worker", .mask = &options_.mask};
    const int error = worker->thread.start(thread, entry, worker);
    if (error == 0)
        return 0;
    Lock lock(mutex_);
    --active_;
    std::erase_if(workers_, [worker](const auto &other) { return other.get() == worker; });
    if (workers_.empty())
        all_left_.broadcast();
    return error;
}

void Dispatcher::post(Runnable &runnable)
{
    runnable.retain();
    Lock lock(mutex_);
    if (runnable.posts_++ == 0) {
        runnable.queued_at_ = Clock::now();
        append(runnable);
    }
    ++queued_;
    if (active_ < allowed_active_)
        wake_one();
    if (monitor_parked_) {
        monitor_parked_ = false;
        monitor_wake_.signal();
    }
}

void Dispatcher::append(Runnable &runnable)
{
    runnable.next_ = nullptr;
    (tail_ ? tail_->next_ : head_) = &runnable;
    tail_ = &runnable;
}

bool Dispatcher::wake_one()
{
    Worker *worker = idle_;
    if (!worker)
        return false;
    idle_ = worker->below;
    worker->woken = true;
    ++active_; // it counts from now, so that the next post() does not wake another for it
    worker->wake.signal();
    return true;
}

void Dispatcher::work(Worker &worker)
{
    {
        Lock lock(mutex_);
        worker.id = current_thread();
    }
    Runnable *done = nullptr;
    for (;;) {
        Runnable *next = nullptr;
        const Runnable *ahead = nullptr;
        {
            Lock lock(mutex_);
            worker.current = nullptr;
            next = take(worker);
            ahead = head_;
        }
        if (ahead)
            Runnable::prefetch(ahead);
        if (done)
            done->release(); // without the lock: it may be the end of a connection
        done = nullptr;
        if (!next) {
            Lock lock(mutex_);
            next = park(worker);
            if (!next) {
                leave(worker);
                return;
            }
        }
        // All of it, and not the events alone: it may wait for a peer to read, too.
        worker.progress.begin_run();
        next->run(worker.progress, worker.spare);
        worker.progress.end_run();
        done = next;
    }
}

Runnable *Dispatcher::take(Worker &worker)
{
    Runnable *runnable = head_;
    if (!runnable)
        return nullptr;
    head_ = runnable->next_;
    if (!head_)
        tail_ = nullptr;
    if (--runnable->posts_ > 0)
        append(*runnable); // behind the others, so that they get their turns
    --queued_;
    worker.current = runnable;
    worker.told_late = false;
    return runnable;
}

// Waits for work. nullptr: the worker is not needed any more.
Runnable *Dispatcher::park(Worker &worker)
{
    TimePoint leave_at = Clock::now() + kIdleWorkerLeaves;
    for (;;) {
        if (Runnable *runnable = take(worker))
            return runnable;
        if (stopping_)
            return nullptr;
        --active_;
        worker.woken = false;
        worker.below = idle_;
        idle_ = &worker;
        bool in_time = true;
        while (!worker.woken && !stopping_ && in_time)
            in_time = worker.wake.wait_until(mutex_, leave_at);
        if (worker.woken)
            continue;
        Worker **link = &idle_;
        while (*link != &worker)
            link = &(*link)->below;
        *link = worker.below;
        ++active_;
        if (!stopping_ && workers_.size() > processors_)
            return nullptr;
        leave_at = kNever; // one of the few that stay
    }
}

void Dispatcher::leave(Worker &worker)
{
    --active_;
    const auto self = std::find_if(workers_.begin(), workers_.end(),
                                   [&](const auto &other) { return other.get() == &worker; });
    left_.push_back(std::move(*self));
    workers_.erase(self);
    if (workers_.empty())
        all_left_.broadcast();
}

// Since when it has been in its event, as far as is known: the first one of a run has begun
// with it, any other when the monitor first saw it. kNever: it is in none.
TimePoint Dispatcher::event_since(const Worker &worker, TimePoint now)
{
    const TimePoint run_since = worker.progress.run_since();
    if (run_since == kNever || worker.progress.in_first_event())
        return run_since;
    return worker.event == worker.progress.event() ? worker.event_since : now;
}

Dispatcher::Figures Dispatcher::figures()
{
    Lock lock(mutex_);
    Figures figures{.queued = queued_, .workers = workers_.size()};
    const TimePoint now = Clock::now();
    for (const auto &worker : workers_) {
        const TimePoint since = event_since(*worker, now);
        if (!worker->current || since == kNever)
            continue;
        ++figures.busy;
        figures.longest = std::max(figures.longest, now - since);
    }
    return figures;
}

std::string Dispatcher::stuck_in(int ms)
{
    Lock lock(mutex_);
    std::string names;
    const TimePoint now = Clock::now();
    for (const auto &worker : workers_) {
        const TimePoint since = event_since(*worker, now);
        if (!worker->current || since == kNever || now - since < std::chrono::milliseconds(ms))
            continue;
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - since);
        names += names.empty() ? "" : ", ";
        names +=
            std::string(worker->current->name()) + " for " + std::to_string(age.count()) + " ms";
    }
    return names;
}

} // namespace websock
