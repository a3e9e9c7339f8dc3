// defaults.h: the callbacks a new context has.
#pragma once

#include <websock/websock.h>

namespace websock {

// Sets the callbacks and settings that libwebsock_init documents.
void set_defaults(libwebsock_context &context, size_t max_frame_payload);

void default_onlog(libwebsock_context *ctx, int level, const char *text);

} // namespace websock
