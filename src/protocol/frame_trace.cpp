// frame_trace.cpp: see frame_trace.h.
#include "protocol/frame_trace.h"

#include <algorithm>

namespace websock {

namespace {

const char *name_of(uint8_t opcode)
{
    switch (static_cast<Opcode>(opcode)) {
    case Opcode::continuation:
        return "continuation";
    case Opcode::text:
        return "text";
    case Opcode::binary:
        return "binary";
    case Opcode::close:
        return "close";
    case Opcode::ping:
        return "ping";
    case Opcode::pong:
        return "pong";
    }
    return "reserved opcode";
}

std::string text_of(const FrameTrace::Entry &entry, uint32_t now_ms)
{
    std::string text = name_of(entry.first_byte & 0xf);
    const int reserved_bits = entry.first_byte & 0x70;
    if (reserved_bits == 0x40) // RFC 7692 6
        text += " (compressed)";
    else if (reserved_bits != 0)
        text += " (reserved bits)";
    if ((entry.first_byte & 0x80) == 0)
        text += " (more)";
    return text + " " + std::to_string(entry.payload_len) + " B " +
           std::to_string(now_ms - entry.at_ms) + " ms ago";
}

} // namespace

std::string FrameTrace::text(int64_t now_ms) const
{
    const uint64_t count = std::min<uint64_t>(added_, entries_.size());
    std::string text;
    for (uint64_t i = added_ - count; i < added_; ++i)
        text +=
            (text.empty() ? "" : ", ") + text_of(entries_[static_cast<size_t>(i % entries_.size())],
                                                 static_cast<uint32_t>(now_ms));
    return text;
}

} // namespace websock
