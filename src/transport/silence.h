// silence.h: whether a client that says nothing is still there. It is asked whenever half of
// idle_timeout_ms has gone by without a byte, and knows only numbers: who reads the clock and
// sends the ping is connection_frames.cpp. The connection's thread's alone.
//
// A client may be silent because a long message of ours, and the ping behind it, is still on
// its way to it. So it is alive as long as it takes what waits for it, and has half of the
// time-out from when the ping has left.
#pragma once

#include "transport/outgoing.h"

namespace websock {

class Silence
{
  public:
    enum class Verdict { ping, alive, dead };

    // Bytes have come.
    void broken() { pinged_ = false; }

    // has_pending: something waits that is not even written yet.
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
        // A window grows when its program reads. That bytes are taken says only that its system
        // is there, and counts for what is before the ping.
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
    bool ping_may_wait_ = false; // behind other bytes, when it was last looked at
    int64_t ping_at_ = 0;       // so many bytes have been written when it was
    Outgoing last_;
};

} // namespace websock
