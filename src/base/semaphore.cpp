// semaphore.cpp: see semaphore.h.
#include "base/semaphore.h"

#include <cerrno>
#include <ctime>

namespace websock {

void Semaphore::wait()
{
    while (sem_wait(&semaphore_) != 0) { // EINTR
    }
}

bool Semaphore::wait_until(TimePoint deadline)
{
    if (deadline == kNever) {
        wait();
        return true;
    }
    const std::chrono::nanoseconds since = deadline.time_since_epoch();
    const timespec until{.tv_sec = static_cast<time_t>(since.count() / 1'000'000'000),
                         .tv_nsec = static_cast<long>(since.count() % 1'000'000'000)};
    while (sem_clockwait(&semaphore_, CLOCK_MONOTONIC, &until) != 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

} // namespace websock
