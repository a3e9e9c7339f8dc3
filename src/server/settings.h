// settings.h: the settings of a context: what they are at first, and what they may be.
// What they mean is in websock/websock.h.
#pragma once

#include <cstddef>
#include <websock/websock.h>

namespace websock {

// max_frame_payload: 0 for the default.
void set_default_settings(libwebsock_context &context, size_t max_frame_payload);

// A setting that is out of range.
struct BadSetting {
    const char *name = nullptr; // nullptr: none is
    size_t least = 0;           // that it may be, where that is the system's to say
};
// Makes a thread with each size of stack that is set, to see whether that will do.
BadSetting bad_setting(const libwebsock_context &context);

} // namespace websock
