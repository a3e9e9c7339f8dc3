// clock.h: the monotonic clock, and deadlines on it; and what time of day it is.
#pragma once

#include <chrono>
#include <cstdint>

namespace websock {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

inline constexpr TimePoint kNever = TimePoint::max();

inline TimePoint in_ms(int ms) { return Clock::now() + std::chrono::milliseconds(ms); }

// Milliseconds until deadline, rounded up, as poll(2) takes them: 0 when it has
// passed, -1 for kNever.
int ms_until(TimePoint deadline);

// The monotonic clock in milliseconds, as of the last tick of the system's timer: it may be a
// few of them late, but reading it takes next to no time.
int64_t coarse_ms();

// The system's idea of the time, which may be set: for a Date, and nothing else.
inline std::chrono::sys_seconds time_of_day()
{
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

} // namespace websock
