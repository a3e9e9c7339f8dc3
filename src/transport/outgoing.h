// outgoing.h: how far written bytes have come on their way to a peer, and whether the peer still
// takes them. Numbers only: transport_plain.cpp asks the system for them.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace websock {

// In bytes on the wire; the first two count from the beginning of the connection.
struct Outgoing {
    int64_t written = 0; // given to the system
    int64_t taken = 0;   // of these, acknowledged by the peer's system. Without TCP a lower bound,
                         // perhaps negative: the system counts its own overhead as not taken
    size_t window = 0;   // what the peer has room for now; 0 where that is not known
};

// How long a peer has taken nothing of what waits for it. For one thread at a time.
class Stall
{
  public:
    // Nothing waits for the peer any more.
    void end() { is_known_ = false; }

    // Whether the peer has taken nothing for timeout_ms, as far as the calls of this function can
    // tell. Each byte it takes starts the time again.
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

    // How often to ask: so a peer is given up at most a quarter of its time-out too late.
    static int look_ms(int timeout_ms) { return timeout_ms / 4 + 1; }

  private:
    bool is_known_ = false;
    int64_t taken_ = 0;
    TimePoint since_{};
};

} // namespace websock
