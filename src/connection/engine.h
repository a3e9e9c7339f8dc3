// engine.h: what the connections of one server share: its settings, the workers, the list of
// connections, the log. The Context makes it; it lives until the server's last thread has ended.
#pragma once

#include "base/processors.h"
#include "connection/registry.h"
#include "dispatch/compression_trimmer.h"
#include "dispatch/dispatcher.h"
#include "dispatch/flusher.h"
#include "dispatch/heap_trimmer.h"
#include "dispatch/log.h"
#include "dispatch/thread_cache.h"
#include "protocol/message.h"
#include "timers/timers.h"
#include "transport/handshake_gate.h"

#include <websock/websock.h>

namespace websock {

struct Engine {
    explicit Engine(libwebsock_context &public_context) : context(public_context), log(context) {}

    // A message for many: compressed, if there is anybody who takes it so. Throws std::bad_alloc.
    Ref<Message> make_message(const Message::Content &content) const
    {
        CompressionPools *const pools = compression.current();
        if (!pools || pools->connections == 0)
            return Message::make(content);
        return Message::make(content, {pools, compression_threshold(false)});
    }
    // In bytes. refers_back: messages may refer to earlier ones.
    size_t compression_threshold(bool refers_back) const
    {
        if (settings.compression_threshold != 0)
            return settings.compression_threshold;
        return refers_back ? 64 : 256;
    }

    libwebsock_context &context;
    libwebsock_context settings{}; // the user's, copied and checked when serving began
    Log log;
    Registry registry{[this] { trimmer.trim_soon(); }};
    HandshakeGate handshakes{processors()};
    ThreadCache threads; // of connections
    HeapTrimmer trimmer{dispatcher};
    CompressionTrimmer compression{dispatcher};
    Flusher flusher;
    Timers timers{dispatcher, log};
    Dispatcher dispatcher; // last: its threads use the others
};

} // namespace websock
