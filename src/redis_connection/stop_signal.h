// stop_signal.h: tells threads that wait for descriptors by when they must have ended. It can be
// raised once.
#pragma once

#include "base/clock.h"
#include "base/fd.h"

#include <atomic>

namespace websock::redis {

class StopSignal
{
  public:
    // 0, or an errno value. Before any thread uses it.
    int open();

    // Any thread.
    void raise(TimePoint deadline);
    bool raised() const { return deadline() != kNever; }
    // By when all must have ended; kNever before it is raised.
    TimePoint deadline() const
    {
        return TimePoint(Clock::duration(deadline_.load(std::memory_order_acquire)));
    }
    // Becomes readable when it is raised, and stays so.
    int fd() const { return fd_.get(); }

  private:
    UniqueFd fd_;
    std::atomic<Clock::duration::rep> deadline_{kNever.time_since_epoch().count()};
};

// Has a thread look up that waits for a descriptor.
class Wakeup
{
  public:
    int open();  // 0, or an errno value
    void wake(); // any thread
    void clear();
    int fd() const { return fd_.get(); }

  private:
    UniqueFd fd_;
};

} // namespace websock::redis
