// lock.cpp: see lock.h.
#include "base/lock.h"

#include <ctime>

namespace websock {

Cond::Cond()
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cond_, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool Cond::wait_until(Mutex &mutex, TimePoint deadline)
{
    if (deadline == kNever) {
        wait(mutex);
        return true;
    }
    const std::chrono::nanoseconds since = deadline.time_since_epoch();
    const timespec until{.tv_sec = static_cast<time_t>(since.count() / 1'000'000'000),
                         .tv_nsec = static_cast<long>(since.count() % 1'000'000'000)};
    return pthread_cond_timedwait(&cond_, &mutex.mutex_, &until) == 0;
}

} // namespace websock
