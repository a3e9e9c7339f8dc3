// clock.cpp: see clock.h.
#include "base/clock.h"

#include <algorithm>
#include <limits.h>
#include <time.h>

namespace websock {

int64_t coarse_ms()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

int ms_until(TimePoint deadline)
{
    if (deadline == kNever)
        return -1;
    const std::chrono::nanoseconds left = deadline - Clock::now();
    if (left.count() <= 0)
        return 0;
    const long long ms = (left.count() + 999'999) / 1'000'000;
    return static_cast<int>(std::min<long long>(ms, INT_MAX));
}

} // namespace websock
