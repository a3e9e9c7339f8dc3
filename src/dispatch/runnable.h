// runnable.h: what a dispatcher runs, what a worker says of its progress in it, and the two
// lists that a runnable may be in. Who runs it, and when, is in dispatcher.h.
#pragma once

#include "base/clock.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace websock {

class Lane;

// What a worker is doing, for the monitor to see. Written by the worker alone.
class Progress
{
  public:
    // coarse_now: the time of the monitor's last look. To read the clock for each event would
    // cost more than many events do, and nobody needs to know the time better.
    explicit Progress(const std::atomic<Clock::rep> &coarse_now) : coarse_now_(coarse_now) {}

    // A callback begins. The one before it, if there was one, has ended.
    void begin_event()
    {
        event_since_.store(coarse_now_.load(std::memory_order_relaxed), std::memory_order_release);
    }
    void end_run() { event_since_.store(0, std::memory_order_relaxed); }

    // When its event began, or up to one look of the monitor earlier. kNever: it is in no event.
    TimePoint event_since() const
    {
        const Clock::rep ticks = event_since_.load(std::memory_order_acquire);
        return ticks == 0 ? kNever : TimePoint(Clock::duration(ticks));
    }

  private:
    const std::atomic<Clock::rep> &coarse_now_;
    std::atomic<Clock::rep> event_since_{0};
};

// Something to be run. Whatever it is part of counts its references.
class Runnable
{
  public:
    // On a worker, once for each Dispatcher::post(). If it was posted several times, several
    // workers may run it at once. spare is memory that the worker lends for whatever the run
    // gathers. It is to be left empty; it may be swapped for other memory.
    virtual void run(Progress &progress, std::vector<uint8_t> &spare) noexcept = 0;
    // On the monitor, at most once in a run(), and only during one of its events: the run takes
    // more than a millisecond.
    virtual void late() noexcept {}
    // On the monitor: the time given to Dispatcher::expire_at() has come.
    virtual void expired() noexcept {}

    virtual void retain() noexcept = 0;
    virtual void release() noexcept = 0;
    // What a log line about a callback that does not return is to call it.
    virtual const char *name() const noexcept = 0;

    // Has the processor fetch the first part of a runnable, which may be gone. What is about to
    // be used then comes all at once, and not line by line. Measured at 1000 connections,
    // together with the order of Connection's fields: 14.5 -> 12.5 us of CPU per echo.
    static void prefetch(const Runnable *runnable)
    {
        constexpr size_t kLine = 64, kLines = 11;
        const auto begin = reinterpret_cast<uintptr_t>(runnable); // no object may be there
        for (size_t i = 0; i < kLines; ++i)
            __builtin_prefetch(reinterpret_cast<const void *>(begin + i * kLine), 1);
    }

  protected:
    ~Runnable() = default;

  private:
    friend class Lane;
    std::atomic<Lane *> lane_{nullptr}; // that posts go to; see Lane::home_of()

    friend class RunQueue;
    // Guarded by the lock of that lane:
    Runnable *next_queued_ = nullptr;
    unsigned runs_queued_ = 0;
    uint64_t queued_at_look_ = 0;

    friend class ExpiryList;
    // Guarded by the lock of the dispatcher that it expires at:
    Runnable *previous_expiring_ = nullptr;
    Runnable *next_expiring_ = nullptr;
    TimePoint expires_at_ = kNever;
};

// The runnables that wait for a worker, first come, first served. One that was posted several
// times has one place, and goes to the end with what is left after each run. Owns nothing,
// locks nothing.
class RunQueue
{
  public:
    bool empty() const { return first_ == nullptr; }
    const Runnable *front() const { return first_; }
    // The number of the monitor's look at which the front came in; it is not empty.
    uint64_t front_queued_at_look() const { return first_->queued_at_look_; }

    static bool has(const Runnable &runnable) { return runnable.runs_queued_ > 0; }

    void push(Runnable &runnable, uint64_t look);
    Runnable *pop(); // nullptr: it is empty

  private:
    void append(Runnable &runnable);

    Runnable *first_ = nullptr;
    Runnable *last_ = nullptr;
};

// The runnables that expire, soonest first. Owns nothing, locks nothing.
class ExpiryList
{
  public:
    Runnable *front() const { return first_; }
    TimePoint front_expires_at() const { return first_ ? first_->expires_at_ : kNever; }

    bool add(Runnable &runnable, TimePoint when); // false: it was in already, and stays as it was
    bool remove(Runnable &runnable);              // false: it was not in

  private:
    Runnable *first_ = nullptr;
    Runnable *last_ = nullptr;
};

} // namespace websock
