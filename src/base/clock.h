// clock.h: the monotonic clock, and deadlines on it.
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

} // namespace websock
