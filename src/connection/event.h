// event.h: what a connection's thread tells its callbacks of. Owned by the
// connection's Inbox, then by the worker that runs it.
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
        closed, // nothing comes any more: onclose
    };

    Kind kind = closed;
    bool fin = true;
    Opcode opcode = Opcode::text;
    uint64_t payload_len = 0;
    uint8_t *payload = nullptr; // in chunk, NUL-terminated; nullptr if there is none
    Ref<Chunk> chunk;
};

} // namespace websock
