// default_callbacks.h: the callbacks a new context has: enough to see a server work before
// the first one is written.
#pragma once

#include <websock/websock.h>

namespace websock {

// Sets those that libwebsock_init documents.
void set_default_callbacks(libwebsock_context &context);

} // namespace websock
