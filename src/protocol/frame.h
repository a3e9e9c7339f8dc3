// frame.h: RFC 6455 framing, pure: bytes in, results out. The decoder works in
// place on the caller's receive buffer and copies nothing; the encoder writes
// headers. Fragments are gathered into messages in assembly.h.
#pragma once

#include "base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace websock {

enum class Opcode : uint8_t {
    continuation = 0x0,
    text = 0x1,
    binary = 0x2,
    close = 0x8,
    ping = 0x9,
    pong = 0xa,
};

inline bool is_control(Opcode opcode) { return (static_cast<uint8_t>(opcode) & 0x8) != 0; }

inline constexpr size_t kMaxControlPayload = 125; // RFC 6455 5.5
inline constexpr size_t kMaxCloseReason = 123;    // the same, less the code
inline constexpr size_t kMaxServerHeader = 10;    // unmasked: 2 + 8
inline constexpr size_t kMaxClientHeader = 14;    // masked: 2 + 8 + 4

// XORs len bytes at src with the key, and stores them at dst. phase: how many bytes of
// the payload came before them, mod 4. dst and src may be the same, or overlap
// with dst below src. Touches no byte outside [src, src+len) and [dst, dst+len).
void unmask(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], size_t phase);

struct FrameLimits {
    uint64_t max_frame_payload;   // of a data frame; a control frame may always have 125
    uint64_t max_message_payload; // of all fragments of a message together
};

// What Decoder::decode found at the start of the bytes it was given.
struct Decoded {
    enum Kind : uint8_t {
        need_more, // not a whole frame yet: give these bytes again, with more after them
        frame,     // a whole frame
        part,      // some of a data frame's payload; with deliver_parts(), and no frame of data
        too_large, // its header announces more than max_frame_payload
        error,     // the connection must fail with close_code
    };
    Kind kind = need_more;
    bool fin = false; // these three: as soon as the header is there
    Opcode opcode = Opcode::continuation;
    uint64_t payload_len = 0;
    uint64_t announced_len = 0; // of the frame's payload, as its header says; error: 0
    // These two, of a data frame: of its message.
    Opcode message_opcode = Opcode::text;
    bool compressed = false;  // RFC 7692: its payload is to be inflated
    bool begins_frame = true; // part: it is the first one of its frame
    // Header and payload together; need_more: 0 while unknown; part: all that was decoded.
    size_t frame_len = 0;
    // Unmasked, in place. frame: NUL-terminated at payload_len. part: payload_len bytes of it, and
    // fin says that they end the message.
    uint8_t *payload = nullptr;
    uint16_t close_code = 0;      // error: 1002, 1007 or 1009
    const char *reason = nullptr; // error: for the log and the Close frame, static

    // frame: the payload, which fits in memory, since it is there.
    std::span<uint8_t> bytes() const { return {payload, static_cast<size_t>(payload_len)}; }
};

// Decodes the frames a client sends. One per connection, used by one thread.
// Each call gets all bytes of the current frame that have come so far, from its
// first one on, and any that came after them. After need_more, the payload that
// has come is already unmasked, and stands four bytes further left than it was
// received (over the mask key). So the bytes may be moved as a block, but not
// changed. Every check is made as soon as its bytes are there: a reserved bit at
// the first byte, invalid UTF-8 at the offending byte. After too_large or error
// the decoder must not be called again. Whether a compressed message is UTF-8, and too
// big, only shows once it is inflated: neither is checked here.
class Decoder
{
  public:
    // compression: messages may be compressed (RFC 7692).
    explicit Decoder(const FrameLimits &limits, bool compression = false);

    // From the next frame on.
    void limit(const FrameLimits &limits);

    Decoded decode(std::span<uint8_t> bytes);
    // The same for a short message that is there as a whole and in one frame. False: it is
    // something else, and nothing has happened.
    bool decode_short(std::span<uint8_t> bytes, Decoded &into);

    // From the next message on, data comes in parts, as much of it as there is; messages and data
    // frames may be of any length. The bytes of a part are not given again.
    void deliver_parts(bool parts) { parts_ = parts; }
    bool delivers_parts() const { return parts_; }
    // Whether no byte of the next message has been looked at.
    bool is_between_messages() const
    {
        return !in_message_ && (!have_header_ || is_control(opcode_));
    }
    // Whether the next byte is the first one of a frame.
    bool is_at_frame() const { return !have_header_; }

    // Whether a message has begun of which more must come, in this frame or in others.
    bool in_message() const { return in_message_ || (have_header_ && header_len_ == 0); }

  private:
    Decoded read_header(std::span<const uint8_t> bytes);
    Decoded describe() const;
    const char *first_byte_error(uint8_t byte) const;
    bool may_be_reserved_bit_1(Opcode opcode) const;
    bool exceeds_message_limit() const;
    bool is_text() const;
    bool is_compressed() const;
    bool checks_utf8() const { return is_text() && !is_compressed(); }
    bool unmask_available(std::span<uint8_t> bytes);
    Decoded finish(std::span<uint8_t> bytes);
    Decoded next_part(std::span<uint8_t> bytes);
    void end_frame();

    FrameLimits limits_{};
    const bool compression_;
    bool parts_ = false;
    Utf8Validator utf8_; // of the text message that is coming in
    bool in_message_ = false;
    bool message_compressed_ = false;
    Opcode message_opcode_ = Opcode::text;
    uint64_t message_len_ = 0; // payload of the fragments before this frame; 0 if compressed
    // Of the current frame, once its header is complete:
    bool have_header_ = false;
    bool fin_ = false;
    bool compressed_ = false; // its first reserved bit
    Opcode opcode_ = Opcode::text;
    uint8_t header_len_ = 0; // mask key included; 0: it was delivered with a part
    uint8_t mask_[4] = {};
    uint64_t payload_len_ = 0;
    uint64_t unmasked_ = 0; // payload bytes unmasked so far
};

// Writes the header of an unmasked frame, at most kMaxServerHeader bytes, with
// the shortest length encoding. compressed: it is the first one of a compressed message.
// Returns its length.
size_t encode_header(uint8_t *out, bool fin, Opcode opcode, uint64_t payload_len,
                     bool compressed = false);

// Whether an endpoint may send this code in a Close frame: those of RFC 6455 7.4, and
// 1012 to 1014 of the IANA registry.
bool is_sendable_close_code(uint16_t code);

// A Close frame's payload. ok is false if RFC 6455 5.5.1 or 7.4 forbids it: a
// single byte, a code that may not be sent, or a reason that is not UTF-8. Then
// close_code and error say how to fail the connection. code is 1005 if the
// payload is empty. reason is a view into the payload.
struct ClosePayload {
    bool ok = false;
    uint16_t code = 1005;
    std::string_view reason;
    uint16_t close_code = 0;
    std::string error; // "" if ok
};
// Throws std::bad_alloc, but only if the payload is not ok.
ClosePayload parse_close(std::span<const uint8_t> payload);

// Writes a Close payload: nothing for code 1005, otherwise the code and as much of
// the reason as fits, cut after a whole character. out must have room for
// kMaxControlPayload bytes. Returns the length.
size_t encode_close(uint8_t *out, uint16_t code, std::string_view reason);

} // namespace websock
