// frame.cpp: the frame decoder. Unmasking is in mask.cpp, the encoder in frame_encode.cpp; what a
// frame means to a connection is not here.
#include "protocol/frame.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace websock {

namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kReservedBits = 0x70;
constexpr uint8_t kReservedBit1 = 0x40; // RFC 7692 6: the message is compressed
constexpr uint8_t kOpcodeBits = 0x0f;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7f;
constexpr uint8_t kLength16 = 126; // the length is in the next 2 bytes
constexpr uint8_t kLength64 = 127; // in the next 8

// Text is unmasked and validated in strides: what unmasking has just written is then still
// in the first-level cache (32 KiB or more) when the validator reads it.
constexpr uint64_t kStride = 16 * 1024;

Decoded failure(uint16_t close_code, const char *reason)
{
    Decoded result;
    result.kind = Decoded::error;
    result.close_code = close_code;
    result.reason = reason;
    return result;
}

bool is_known_opcode(uint8_t opcode) { return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xa); }

size_t extended_length_bytes(uint8_t length)
{
    return length == kLength64 ? 8 : length == kLength16 ? 2 : 0;
}

uint64_t read_big_endian(std::span<const uint8_t> bytes)
{
    uint64_t value = 0;
    for (uint8_t byte : bytes) {
        value = value << 8 | byte;
    }
    return value;
}

const char *second_byte_error(uint8_t first, uint8_t second)
{
    // RFC 6455 5.1: "The server MUST close the connection upon receiving a frame ... not masked."
    if ((second & kMasked) == 0) {
        return "frame from a client is not masked";
    }
    bool control = is_control(static_cast<Opcode>(first & kOpcodeBits));
    // RFC 6455 5.5: "All control frames MUST have a payload length of 125 bytes or less ..."
    if (control && (second & kLengthBits) > kMaxControlPayload) {
        return "control frame is longer than 125 bytes";
    }
    return nullptr;
}

// extended: as many of the bytes after the 126 or 127 as have come.
const char *length_error(uint8_t length, std::span<const uint8_t> extended)
{
    // RFC 6455 5.2: "... the minimal number of bytes MUST be used to encode the length, ..."
    if (length == kLength16 && extended.size() == 2 && read_big_endian(extended) < kLength16) {
        return "frame length is not in its shortest form";
    }
    if (length != kLength64) {
        return nullptr;
    }
    // RFC 6455 5.2: "... (the most significant bit MUST be 0) ..."
    if (!extended.empty() && (extended[0] & 0x80) != 0) {
        return "frame length has its top bit set";
    }
    if (extended.size() >= 6 && read_big_endian(extended.first(6)) == 0) {
        return "frame length is not in its shortest form"; // it would fit in 2 bytes
    }
    return nullptr;
}

} // namespace

// A frame's length must fit in a size_t, which may have 32 bits.
Decoder::Decoder(const FrameLimits &limits, bool compression) : compression_(compression)
{
    limit(limits);
}

void Decoder::limit(const FrameLimits &limits)
{
    uint64_t addressable = std::numeric_limits<size_t>::max() - kMaxClientHeader;
    limits_ = {std::min(limits.max_frame_payload, addressable), limits.max_message_payload};
}

// RFC 6455 6.2: "Incoming data MUST be parsed as WebSocket frames as defined in Section 5.2."
Decoded Decoder::decode(std::span<uint8_t> bytes)
{
    if (!have_header_) {
        Decoded result;
        if (decode_short(bytes, result)) {
            return result;
        }
        result = read_header(bytes);
        if (!have_header_) {
            if (parts_ && !is_control(opcode_)) {
                result.frame_len = 0; // it needs no room of its own
            }
            return result;
        }
    }
    if (parts_ && !is_control(opcode_)) {
        return next_part(bytes);
    }
    // RFC 6455 8.1: "... not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail ..."
    if (!unmask_available(bytes)) {
        return failure(1007, "text is not UTF-8");
    }
    if (unmasked_ < payload_len_) {
        return describe();
    }
    return finish(bytes);
}

// Sets have_header_ once the whole header has come and is allowed. Touches only the fields
// of the current frame, so it can start over when more bytes come.
// RFC 6455 10.7: "Incoming data MUST always be validated by both clients and servers."
Decoded Decoder::read_header(std::span<const uint8_t> bytes)
{
    if (bytes.empty()) {
        return {};
    }
    if (const char *reason = first_byte_error(bytes[0])) {
        return failure(1002, reason);
    }
    if (bytes.size() < 2) {
        return {};
    }
    if (const char *reason = second_byte_error(bytes[0], bytes[1])) {
        return failure(1002, reason);
    }
    const uint8_t length = bytes[1] & kLengthBits;
    const size_t wanted = extended_length_bytes(length);
    const std::span<const uint8_t> extended = bytes.subspan(2, std::min(wanted, bytes.size() - 2));
    if (const char *reason = length_error(length, extended)) {
        return failure(1002, reason);
    }
    if (extended.size() < wanted) {
        return {};
    }

    fin_ = (bytes[0] & kFin) != 0;
    compressed_ = (bytes[0] & kReservedBit1) != 0;
    opcode_ = static_cast<Opcode>(bytes[0] & kOpcodeBits);
    payload_len_ = wanted == 0 ? length : read_big_endian(extended);
    header_len_ = static_cast<uint8_t>(2 + wanted + sizeof mask_);
    unmasked_ = 0;
    // RFC 6455 10.4: "... MUST protect themselves against exceeding those limits."
    if (!parts_ && !is_control(opcode_) && payload_len_ > limits_.max_frame_payload) {
        Decoded result = describe();
        result.kind = Decoded::too_large;
        return result;
    }
    if (exceeds_message_limit()) {
        return failure(1009, "message is too big"); // RFC 6455 7.4.1
    }
    if (bytes.size() >= header_len_) {
        std::memcpy(mask_, bytes.data() + 2 + wanted, sizeof mask_);
        have_header_ = true;
    }
    return describe();
}

const char *Decoder::first_byte_error(uint8_t byte) const
{
    const uint8_t opcode = byte & kOpcodeBits;
    // RFC 6455 5.2: "If a nonzero value is received ... the receiving endpoint MUST _Fail ..."
    const uint8_t allowed =
        may_be_reserved_bit_1(static_cast<Opcode>(opcode)) ? kReservedBit1 : uint8_t{0};
    if ((byte & kReservedBits & ~allowed) != 0) {
        return "reserved bit is set"; // no extension defines it, there
    }
    // RFC 6455 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail ..."
    if (!is_known_opcode(opcode)) {
        return "reserved opcode";
    }
    // RFC 6455 5.4: "Control frames themselves MUST NOT be fragmented."
    if (is_control(static_cast<Opcode>(opcode))) {
        return (byte & kFin) != 0 ? nullptr : "control frame is fragmented";
    }
    if (static_cast<Opcode>(opcode) == Opcode::continuation) {
        return in_message_ ? nullptr : "continuation frame without a message"; // RFC 6455 5.4
    }
    // RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved ..."
    return in_message_ ? "new message inside a fragmented one" : nullptr;
}

// RFC 7692 6.1: "An endpoint receiving such a frame MUST _Fail the WebSocket Connection_."
bool Decoder::may_be_reserved_bit_1(Opcode opcode) const
{
    return compression_ && !is_control(opcode) && opcode != Opcode::continuation;
}

// message_len_ may exceed a limit that has come down since.
bool Decoder::exceeds_message_limit() const
{
    return !parts_ && !is_control(opcode_) && !is_compressed() &&
           (message_len_ > limits_.max_message_payload ||
            payload_len_ > limits_.max_message_payload - message_len_);
}

bool Decoder::is_text() const
{
    return opcode_ == Opcode::text ||
           (opcode_ == Opcode::continuation && message_opcode_ == Opcode::text);
}

bool Decoder::is_compressed() const
{
    return opcode_ == Opcode::continuation ? message_compressed_ : compressed_;
}

// The header of the current frame, with kind need_more.
Decoded Decoder::describe() const
{
    Decoded result;
    result.fin = fin_;
    result.opcode = opcode_;
    result.payload_len = result.announced_len = payload_len_;
    // RFC 6455 5.4: "... the type for all fragments in a message MUST be either text, binary, ..."
    result.message_opcode = opcode_ == Opcode::continuation ? message_opcode_ : opcode_;
    result.compressed = is_compressed();
    result.frame_len = static_cast<size_t>(header_len_ + payload_len_);
    return result;
}

// False: the text so far is not UTF-8.
// RFC 6455 6.2: "A server MUST remove masking for data frames received from a client ..."
bool Decoder::unmask_available(std::span<uint8_t> bytes)
{
    const uint64_t available = std::min<uint64_t>(bytes.size() - header_len_, payload_len_);
    while (unmasked_ < available) {
        const uint64_t left = available - unmasked_;
        const size_t len = static_cast<size_t>(checks_utf8() ? std::min(left, kStride) : left);
        uint8_t *src = bytes.data() + header_len_ + unmasked_;
        uint8_t *dst = src - sizeof mask_;
        unmask(dst, src, len, mask_, static_cast<size_t>(unmasked_ % sizeof mask_));
        unmasked_ += len;
        if (checks_utf8() && !utf8_.feed({dst, len})) {
            return false;
        }
    }
    return true;
}

Decoded Decoder::finish(std::span<uint8_t> bytes)
{
    // RFC 6455 5.6: "... the whole message MUST contain valid UTF-8."
    if (checks_utf8() && fin_ && !utf8_.complete()) {
        return failure(1007, "text ends inside a character");
    }
    Decoded result = describe();
    result.kind = Decoded::frame;
    result.payload = bytes.data() + header_len_ - sizeof mask_;
    result.payload[payload_len_] = 0; // where the last payload byte, or the key, was
    end_frame();
    return result;
}

// As much of the payload as has come. It stays where it is, so that the bytes before it, which may
// be in use by now, are not touched.
Decoded Decoder::next_part(std::span<uint8_t> bytes)
{
    const uint64_t left = payload_len_ - unmasked_;
    const size_t len = static_cast<size_t>(std::min<uint64_t>(bytes.size() - header_len_, left));
    Decoded result = describe();
    result.frame_len = 0; // it needs no room of its own
    if (len == 0 && left > 0) {
        return result;
    }
    uint8_t *const payload = bytes.data() + header_len_;
    for (size_t done = 0; done < len;) {
        const std::span<uint8_t> stride(payload + done, std::min<size_t>(len - done, kStride));
        unmask(stride.data(), stride.data(), stride.size(), mask_,
               static_cast<size_t>(unmasked_ % sizeof mask_));
        if (checks_utf8() && !utf8_.feed(stride)) {
            return failure(1007, "text is not UTF-8");
        }
        done += stride.size();
        unmasked_ += stride.size();
    }
    const bool ends_frame = unmasked_ == payload_len_;
    if (checks_utf8() && fin_ && ends_frame && !utf8_.complete()) {
        return failure(1007, "text ends inside a character");
    }
    result.kind = Decoded::part;
    result.begins_frame = header_len_ != 0;
    result.fin = fin_ && ends_frame;
    result.payload = payload;
    result.payload_len = len;
    result.frame_len = header_len_ + len;
    header_len_ = 0;
    if (ends_frame) {
        end_frame();
    }
    return result;
}

void Decoder::end_frame()
{
    have_header_ = false;
    // RFC 6455 5.4: "An endpoint MUST be capable of handling control frames in the middle ..."
    if (is_control(opcode_)) {
        return;
    }
    const Decoded frame = describe();
    // RFC 6455 6.2: "Subsequent data frames MUST be interpreted as belonging to a new ... message."
    in_message_ = !fin_;
    // RFC 6455 6.2: "... the endpoint MUST note the /type/ of the data ..."
    message_opcode_ = frame.message_opcode;
    message_compressed_ = frame.compressed;
    message_len_ = fin_ || frame.compressed || parts_ ? 0 : message_len_ + payload_len_;
    if (fin_) {
        utf8_.reset();
    }
}

} // namespace websock
