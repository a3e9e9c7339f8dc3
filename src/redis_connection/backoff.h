// backoff.h: when to try again: after a random time, from 0 to a bound that doubles, so that the
// nodes of a cluster do not all come at once when a server is back. Also the random numbers.
#pragma once

#include "base/clock.h"

#include <algorithm>
#include <cstdint>
#include <sys/random.h>

namespace websock::redis {

inline uint64_t random_number()
{
    uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) // a kernel without it
        number =
            static_cast<uint64_t>(Clock::now().time_since_epoch().count()) * 0x9e3779b97f4a7c15;
    return number;
}

inline int64_t unix_ms()
{
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

// Not 0, and greater than those that were made before, as long as nobody sets the clock: a time in
// milliseconds, and chance.
inline uint64_t fresh_epoch()
{
    constexpr int kRandomBits = 22;
    const uint64_t chance = random_number() & ((uint64_t{1} << kRandomBits) - 1);
    return static_cast<uint64_t>(unix_ms()) << kRandomBits | chance | 1;
}

class Backoff
{
  public:
    TimePoint next()
    {
        const int delay = static_cast<int>(random_number() % static_cast<uint64_t>(bound_ms_ + 1));
        bound_ms_ = std::min(2 * bound_ms_, kMostMs);
        return in_ms(delay);
    }
    void reset() { bound_ms_ = kFirstMs; }

  private:
    static constexpr int kFirstMs = 100;
    static constexpr int kMostMs = 5000;

    int bound_ms_ = kFirstMs;
};

} // namespace websock::redis
