// outgoing.h: how far what was written to a peer has come, and whether the peer is making
// progress with it. Numbers only: who asks the system for them is transport_plain.cpp.
#pragma once

#include "thread.h"

#include <chrono>
#include <cstdint>

namespace websock {

// All of them in bytes since the connection began, and as they stand on the wire.
struct Outgoing {
    uint64_t written = 0; // given to the system
    uint64_t taken = 0;   // of those, what the peer's system has acknowledged
    uint64_t invited = 0; // what the peer has ever had room for: grows as its program reads
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
    uint64_t taken_ = 0;
    TimePoint since_{};
};

} // namespace websock
