// outgoing.h: how far what was written to a peer has come, and whether the peer is making
// progress with it. Numbers only: who asks the system for them is transport_plain.cpp.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace websock {

// In bytes, as they stand on the wire; the first two since the connection began.
struct Outgoing {
    int64_t written = 0; // given to the system
    int64_t taken = 0;   // of those, what the peer's system has acknowledged. Without TCP the
                         // system counts some more as not taken: it may be less, and below 0
    size_t window = 0;   // for how many more the peer has room now; 0 where that is not known
};

// Since when a peer has taken nothing of what waits for it. One thread at a time.
class Stall
{
  public:
    // Nothing waits for the peer any more.
    void end() { is_known_ = false; }

    // Whether the peer has taken nothing for timeout_ms, as far as the calls of this tell: each
    // byte it takes begins the time again.
    bool is_over(const Outgoing &now, int timeout_ms)
    {
        const TimePoint at = Clock::now();
        if (!is_known_ || now.taken != taken_) {
            is_known_ = true;
            taken_ = now.taken;
            since_ = at;
        }
        return at - since_ >= std::chrono::milliseconds(timeout_ms);
    }

    // How often to ask: a peer is given up a quarter of its time late, at most.
    static int look_ms(int timeout_ms) { return timeout_ms / 4 + 1; }

  private:
    bool is_known_ = false;
    int64_t taken_ = 0;
    TimePoint since_{};
};

} // namespace websock
