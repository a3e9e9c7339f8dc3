// engine.h: what the connections of one server share: its settings, the workers, the list of
// connections, the log. The Context makes it; it lives until the server's last thread has ended.
#pragma once

#include "base/processors.h"
#include "connection/registry.h"
#include "dispatch/dispatcher.h"
#include "dispatch/flusher.h"
#include "dispatch/heap_trimmer.h"
#include "dispatch/log.h"
#include "dispatch/thread_cache.h"
#include "transport/handshake_gate.h"

#include <websock/websock.h>

namespace websock {

struct Engine {
    explicit Engine(libwebsock_context &public_context) : context(public_context), log(context) {}

    libwebsock_context &context;
    libwebsock_context settings{}; // the user's, copied and checked when serving began
    Log log;
    Registry registry{[this] { trimmer.trim_soon(); }};
    HandshakeGate handshakes{processors()};
    ThreadCache threads; // of connections
    HeapTrimmer trimmer{dispatcher};
    Flusher flusher;
    Dispatcher dispatcher; // last: its threads use the others
};

} // namespace websock
