// frame_trace.h: remembers the last frames of a connection and when they came, a few bytes
// for each, for the log line when it ends badly. Their contents are not kept.
#pragma once

#include "protocol/frame.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace websock {

// For one direction. Its owner guards it.
class FrameTrace
{
  public:
    struct Entry {
        uint64_t payload_len;
        uint32_t at_ms;     // the lower half of coarse_ms()
        uint8_t first_byte; // of the frame's header: fin, reserved bits and opcode
    };

    // capacity: how many frames it keeps. Throws std::bad_alloc.
    explicit FrameTrace(size_t capacity) : entries_(capacity) {}

    // now_ms: from coarse_ms(), here and below.
    void add(uint8_t first_byte, uint64_t payload_len, int64_t now_ms)
    {
        if (entries_.empty())
            return;
        entries_[next_] = {payload_len, static_cast<uint32_t>(now_ms), first_byte};
        if (++next_ == entries_.size())
            next_ = 0;
        ++added_;
    }

    // Oldest first: "text 5 B 12 ms ago, close 2 B 0 ms ago"; "" if there were none.
    // Throws std::bad_alloc.
    std::string text(int64_t now_ms) const;

  private:
    std::vector<Entry> entries_; // a ring
    size_t next_ = 0;            // the oldest entry, which the next frame overwrites
    uint64_t added_ = 0;
};

} // namespace websock
