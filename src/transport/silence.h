// silence.h: whether a client that sends nothing is still there. Only numbers here:
// connection_frames.cpp watches the clock, asks whenever half of idle_timeout_ms has passed
// without a byte, and sends the ping. Used by the connection's thread alone.
//
// A client may be silent because a long message of ours, with the ping behind it, is still on
// its way. So it counts as alive while it takes what is before the ping, and from there on it has
// half of the time-out to answer.
#pragma once

#include "transport/outgoing.h"

namespace websock {

class Silence
{
  public:
    enum class Verdict { ping, alive, dead };

    // Bytes have come.
    void broken() { pinged_ = false; }

    // has_pending: something waits that has not been written yet.
    Verdict judge(const Outgoing &now, bool has_pending)
    {
        const Outgoing before = last_;
        last_ = now;
        if (!pinged_) {
            pinged_ = true;
            ping_may_wait_ = has_pending || now.taken < now.written;
            ping_at_ = kUnknown;
            return Verdict::ping;
        }
        // The window grows when the client's program reads. Acknowledged bytes show only that its
        // system is there, and count only up to the ping.
        const bool alive =
            now.window > before.window || (ping_may_wait_ && now.taken > before.taken);
        if (ping_at_ == kUnknown && !has_pending)
            ping_at_ = now.written;
        ping_may_wait_ = ping_may_wait_ && now.taken < ping_at_;
        return alive ? Verdict::alive : Verdict::dead;
    }

  private:
    static constexpr int64_t kUnknown = INT64_MAX;

    bool pinged_ = false;
    bool ping_may_wait_ = false; // behind other bytes, at the last judge()
    int64_t ping_at_ = 0;        // Outgoing::written once the ping was among it, or kUnknown
    Outgoing last_;
};

} // namespace websock
