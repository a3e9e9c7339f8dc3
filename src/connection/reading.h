// reading.h: where the thread that reads a connection is: in which frame, and for how long the peer
// has been silent. That thread's alone. How it goes on is in connection_reading.cpp.
#pragma once

#include "protocol/frame.h"
#include "transport/silence.h"

#include <cstddef>

namespace websock {

struct Reading {
    Reading(const FrameLimits &limits, bool compression) : decoder(limits, compression) {}

    Decoder decoder;
    Silence silence;
    int silence_ms = -1;         // after so long without a byte, the peer is looked at; -1: never
    int silent_ms = 0;           // of that, so much was waited for in vain
    size_t in_use = 0;           // unread bytes, in front, that were handed out
    unsigned limits_version = 0; // of the ClientLimits that count
    bool has_waited = false;     // for bytes, since the session's receive began
};

} // namespace websock
