// dispatcher.cpp: the queue and the workers; see dispatcher.h. Their number is
// monitor.cpp's.
#include "dispatch/dispatcher.h"

#include "base/processors.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <unistd.h>
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
        allowed_active_ = processors_;
        stopping_ = ends_ = false; // an earlier start may have failed
        now_ = Clock::now().time_since_epoch().count();
    }
    for (size_t i = 0; i < processors_; ++i) {
        const int error = add_worker();
        if (error != 0 && i == 0)
            return error;
    }
    const auto watch_entry = [](void *self) { static_cast<Dispatcher *>(self)->watch(); };
    const auto growth_entry = [](void *self) { static_cast<Dispatcher *>(self)->make_wanted(); };
    int error = monitor_.start({.name = "ws-monitor"}, watch_entry, this);
    monitor_started_ = error == 0;
    if (error == 0)
        error = growth_.start({.name = "ws-growth"}, growth_entry, this);
    growth_started_ = error == 0;
    if (error != 0)
        (void)stop(kNever);
    return error;
}

bool Dispatcher::stop(TimePoint deadline)
{
    Lock lock(mutex_);
    stopping_ = true; // from now on no worker is added
    for (size_t i = active_; i < workers_.size(); ++i)
        workers_[i]->wake.signal();
    while (!workers_.empty()) {
        if (!all_left_.wait_until(mutex_, deadline))
            return false;
    }
    ends_ = true;
    monitor_wake_.signal();
    growth_wake_.signal();
    std::unique_ptr<Worker> left = std::move(left_);
    lock.unlock();
    join(std::move(left));
    if (std::exchange(monitor_started_, false))
        monitor_.join();
    if (std::exchange(growth_started_, false))
        growth_.join();
    lock.lock();
    while (first_expiring_) {
        Runnable &runnable = *first_expiring_;
        unlink_expiring(runnable);
        runnable.release();
    }
    return true;
}

// Makes a worker, active from the start. 0 or an errno value: ESHUTDOWN, or EBUSY when there
// may be no more of them.
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
    (void)take_out(*worker);
    return error;
}

void Dispatcher::post(Runnable &runnable, bool sleeps)
{
    runnable.retain();
    Lock lock(mutex_);
    if (runnable.posts_++ == 0) {
        runnable.queued_in_ = looks_;
        append(runnable);
    }
    queued_.store(queued_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const bool woken = (sleeps || active_ < allowed_active_) && wake_one();
    if (sleeps && !woken) {
        ++wanted_;
        growth_wake_.signal();
    }
    if (monitor_parked_) {
        monitor_parked_ = false;
        now_ = Clock::now().time_since_epoch().count(); // it was not kept meanwhile
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
    if (active_ == workers_.size())
        return false;
    Worker &worker = *workers_[active_];
    worker.woken = true;
    activate(worker); // it counts from now, so that the next post() does not wake another for it
    worker.wake.signal();
    return true;
}

void Dispatcher::exchange(size_t a, size_t b)
{
    std::swap(workers_[a], workers_[b]);
    workers_[a]->index = a;
    workers_[b]->index = b;
}

void Dispatcher::activate(Worker &worker)
{
    exchange(worker.index, active_++);
}

void Dispatcher::deactivate(Worker &worker)
{
    exchange(worker.index, --active_);
}

// Of an active worker.
std::unique_ptr<Dispatcher::Worker> Dispatcher::take_out(Worker &worker)
{
    deactivate(worker);
    exchange(worker.index, workers_.size() - 1);
    std::unique_ptr<Worker> out = std::move(workers_.back());
    workers_.pop_back();
    if (workers_.empty())
        all_left_.broadcast();
    return out;
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
        const Runnable *ahead = nullptr;
        {
            Lock lock(mutex_);
            finish(worker, slept);
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
                std::unique_ptr<Worker> before = leave(worker);
                lock.unlock();
                return join(std::move(before));
            }
        }
        slept = run(worker, *next);
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
    queued_.store(queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    worker.current = runnable;
    worker.run = ++runs_;
    worker.run_in = looks_;
    worker.fresh = true;
    worker.earlier = last_fresh_;
    worker.later = nullptr;
    (last_fresh_ ? last_fresh_->later : first_fresh_) = &worker;
    last_fresh_ = &worker;
    return runnable;
}

// True: it has slept meanwhile, and that was to be told.
bool Dispatcher::run(Worker &worker, Runnable &runnable)
{
    const bool tells = workers_tell_.load(std::memory_order_relaxed);
    const long before = tells ? sleeps_so_far() : 0;
    runnable.run(worker.progress, worker.spare);
    worker.progress.end_run();
    return tells && sleeps_so_far() > before;
}

void Dispatcher::finish(Worker &worker, bool slept)
{
    if (!worker.current)
        return;
    worker.slept = slept;
    worker.current = nullptr;
    if (worker.fresh)
        unlink_fresh(worker);
    else
        --late_runs_;
}

void Dispatcher::unlink_fresh(Worker &worker)
{
    (worker.earlier ? worker.earlier->later : first_fresh_) = worker.later;
    (worker.later ? worker.later->earlier : last_fresh_) = worker.earlier;
    worker.fresh = false;
}

// Waits for work. nullptr: the worker is not needed any more.
Runnable *Dispatcher::park(Worker &worker)
{
    TimePoint leave_at = Clock::now() + options_.idle_leaves;
    for (;;) {
        if (Runnable *runnable = take(worker))
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
        leave_at = kNever; // one of the few that stay
    }
}

// Each one that leaves joins the one that has left before it, so that at most one thread
// that has ended is there at a time. Returns that one.
std::unique_ptr<Dispatcher::Worker> Dispatcher::leave(Worker &worker)
{
    return std::exchange(left_, take_out(worker));
}

void Dispatcher::join(std::unique_ptr<Worker> left)
{
    if (left)
        left->thread.join_launched();
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

std::string Dispatcher::stuck_in(int ms)
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
