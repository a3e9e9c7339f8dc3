// event.h: what a callback is to be called for. Made by the connection's thread; owned by its
// Inbox, then by the worker that runs it.
#pragma once

#include "base/buffer.h"
#include "protocol/frame.h"

#include <cstdint>

namespace websock {

struct Event {
    enum Kind : uint8_t {
        request,
        open,
        message,
        too_large,
        control,
        closed, // the last one: onclose
    };

    Kind kind = closed;
    bool fin = true;
    Opcode opcode = Opcode::text;
    uint64_t payload_len = 0;
    uint8_t *payload = nullptr; // in chunk, NUL-terminated; nullptr if there is none
    Ref<Chunk> chunk;
};

} // namespace websock
