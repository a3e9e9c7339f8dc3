// settings.h: the settings of a context: their defaults, and their ranges.
// What they mean is in websock/websock.h.
#pragma once

#include <cstddef>
#include <websock/websock.h>

namespace websock {

// max_frame_payload: 0 for the default.
void set_default_settings(libwebsock_context &context, size_t max_frame_payload);

// A setting that is out of range.
struct BadSetting {
    const char *name = nullptr; // nullptr: all are in range
    size_t least = 0;           // the smallest allowed value, where the system decides it
};
// Starts a thread with each stack size that is set, to see whether it will do.
BadSetting bad_setting(const libwebsock_context &context);

} // namespace websock
