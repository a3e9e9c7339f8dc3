// reference.h: RFC 3629 and RFC 6455 implemented plainly, a byte at a time and without regard
// to speed, to compare the library with. Uses nothing of the library.
#pragma once

#include "target.h"

#include <vector>

namespace fuzz {

// A text up to its first byte that cannot be part of UTF-8.
struct TextVerdict {
    static constexpr size_t kNone = SIZE_MAX;
    size_t bad_at = kNone;       // that byte
    size_t whole_characters = 0; // bytes of the whole characters before it
    bool valid(size_t size) const { return bad_at == kNone && whole_characters == size; }
};
TextVerdict judge_text(Bytes text);

std::string plain_unmask(Bytes masked, Bytes key, size_t phase);

struct PlainLimits {
    uint64_t frame;
    uint64_t message;
};

// A frame, or how the frames end.
struct PlainFrame {
    enum Kind : uint8_t { frame, too_large, error } kind = frame;
    bool fin = false; // this and the next: not for error
    uint8_t opcode = 0;
    uint8_t message_opcode = 0; // of a data frame: the opcode its message began with
    uint64_t payload_len = 0;
    std::string payload = {}; // frame
    uint16_t close_code = 0;  // error
    bool compressed = false;  // of a data frame: its message is, and payload as it came
    bool operator==(const PlainFrame &) const = default;
};

// Reads frames one after another. of_client: they are masked, and text must be UTF-8 as far as
// it has come, even in an incomplete frame. compression: a message may be compressed (RFC 7692);
// then it is not looked at.
class PlainReader
{
  public:
    PlainReader(Bytes stream, bool of_client, PlainLimits limits, bool compression = false)
        : rest_(stream), of_client_(of_client), compression_(compression), limits_(limits)
    {
    }

    // False if there is nothing more, or no whole frame.
    bool next(PlainFrame &frame);
    Bytes rest() const { return rest_; }

  private:
    bool fail(PlainFrame &frame, uint16_t close_code);
    bool read_payload(PlainFrame &frame, size_t header_len);

    Bytes rest_;
    bool of_client_;
    bool compression_;
    PlainLimits limits_;
    bool ended_ = false;
    bool in_message_ = false;
    uint8_t message_opcode_ = 0;
    bool compressed_ = false; // that message
    std::string message_;     // the fragments so far
};

// 1005 for an empty payload, 0 if RFC 6455 forbids it.
uint16_t plain_close_code(Bytes payload);

} // namespace fuzz
