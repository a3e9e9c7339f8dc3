// default_callbacks.h: the callbacks of a new context, so that a server can be seen to work
// before any callback is written.
#pragma once

#include <websock/websock.h>

namespace websock {

// Sets the ones that libwebsock_init(3) documents.
void set_default_callbacks(libwebsock_context &context);

} // namespace websock
