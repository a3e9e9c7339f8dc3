// assembly.h: gathers the fragments of one message. This is the only place where received
// bytes are copied. Used by the connection's thread alone.
#pragma once

#include "base/buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace websock {

// RFC 6455 5.4: "Clients and servers MUST support receiving both fragmented and unfragmented ..."
class Assembly
{
  public:
    // Throws std::bad_alloc, with nothing added.
    // RFC 6455 5.4: "Message fragments MUST be delivered to the recipient in the order sent ..."
    void add(std::span<const uint8_t> fragment)
    {
        const size_t needed = len_ + fragment.size() + 1; // the NUL
        if (!chunk_ || chunk_->capacity() < needed) {
            Ref<Chunk> larger = Chunk::make(std::max(needed, 2 * len_));
            if (len_ > 0)
                std::memcpy(larger->data(), chunk_->data(), len_);
            chunk_ = std::move(larger);
        }
        if (!fragment.empty())
            std::memcpy(chunk_->data() + len_, fragment.data(), fragment.size());
        len_ += fragment.size();
        chunk_->data()[len_] = 0;
    }

    size_t len() const { return len_; }

    // The whole message, NUL-terminated. It begins at the chunk's first byte.
    // RFC 6455 5.4: "... must not depend on the presence of specific frame boundaries."
    Ref<Chunk> finish()
    {
        len_ = 0;
        return std::move(chunk_);
    }

  private:
    Ref<Chunk> chunk_;
    size_t len_ = 0;
};

} // namespace websock
