// settings.h: the settings of a context: what they are at first, and what they may be.
// What they mean is in websock/websock.h.
#pragma once

#include <cstddef>
#include <websock/websock.h>

namespace websock {

// max_frame_payload: 0 for the default.
void set_default_settings(libwebsock_context &context, size_t max_frame_payload);

// The name of a setting that is out of range; nullptr if none is.
const char *bad_setting(const libwebsock_context &context);

} // namespace websock
