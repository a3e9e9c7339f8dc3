// frame.cpp: the frame decoder and encoder, and the payload of Close frames.
// Unmasking is in mask.cpp; what a frame means to a connection is not here.
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
Decoder::Decoder(const FrameLimits &limits, bool compression)
    : limits_(limits), compression_(compression)
{
    uint64_t addressable = std::numeric_limits<size_t>::max() - kMaxClientHeader;
    limits_.max_frame_payload = std::min(limits_.max_frame_payload, addressable);
}

// RFC 6455 6.2: "Incoming data MUST be parsed as WebSocket frames as defined in Section 5.2."
Decoded Decoder::decode(std::span<uint8_t> bytes)
{
    if (!have_header_) {
        Decoded result = read_header(bytes);
        if (!have_header_) {
            return result;
        }
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
    if (!is_control(opcode_) && payload_len_ > limits_.max_frame_payload) {
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

// message_len_ never exceeds the limit, so the subtraction does not wrap around.
bool Decoder::exceeds_message_limit() const
{
    return !is_control(opcode_) && !is_compressed() &&
           payload_len_ > limits_.max_message_payload - message_len_;
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
    result.payload_len = payload_len_;
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
    have_header_ = false;

    // RFC 6455 5.4: "An endpoint MUST be capable of handling control frames in the middle ..."
    if (is_control(opcode_)) {
        return result;
    }
    // RFC 6455 6.2: "Subsequent data frames MUST be interpreted as belonging to a new ... message."
    in_message_ = !fin_;
    // RFC 6455 6.2: "... the endpoint MUST note the /type/ of the data ..."
    message_opcode_ = result.message_opcode;
    message_compressed_ = result.compressed;
    message_len_ = fin_ || result.compressed ? 0 : message_len_ + payload_len_;
    if (fin_) {
        utf8_.reset();
    }
    return result;
}

// RFC 6455 6.1: "An endpoint MUST encapsulate the /data/ in a WebSocket frame ..."
size_t encode_header(uint8_t *out, bool fin, Opcode opcode, uint64_t payload_len, bool compressed)
{
    // RFC 6455 5.2: "MUST be 0 unless an extension is negotiated ..."
    // RFC 6455 6.1: "The opcode ... of the first frame containing the data MUST be set ..."
    // RFC 6455 6.1: "The FIN bit ... of the last frame containing the data MUST be set to 1 ..."
    out[0] = static_cast<uint8_t>((fin ? kFin : 0) | (compressed ? kReservedBit1 : 0) |
                                  static_cast<uint8_t>(opcode));
    // RFC 6455 5.1: "A server MUST NOT mask any frames that it sends to the client."
    if (payload_len < kLength16) {
        out[1] = static_cast<uint8_t>(payload_len);
        return 2;
    }
    const size_t extended = payload_len <= 0xffff ? 2 : 8;
    out[1] = extended == 2 ? kLength16 : kLength64;
    for (size_t i = 0; i < extended; ++i) {
        out[2 + i] = static_cast<uint8_t>(payload_len >> (8 * (extended - 1 - i)));
    }
    return 2 + extended;
}

// RFC 6455 7.4.1: "1005 ... MUST NOT be set as a status code in a Close control frame ..."
// RFC 6455 7.4.1: "1006 ... MUST NOT be set as a status code in a Close control frame ..."
// RFC 6455 7.4.1: "1015 ... MUST NOT be set as a status code in a Close control frame ..."
bool is_sendable_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

ClosePayload parse_close(std::span<const uint8_t> payload)
{
    ClosePayload result;
    if (payload.empty()) {
        result.ok = true;
        return result;
    }
    result.close_code = 1002;
    // RFC 6455 5.5.1: "... the first two bytes of the body MUST be a 2-byte unsigned integer ..."
    if (payload.size() == 1) {
        result.error = "Close frame has half a code";
        return result;
    }
    const uint16_t code = static_cast<uint16_t>(payload[0] << 8 | payload[1]);
    if (!is_sendable_close_code(code)) {
        result.error = "Close frame has code " + std::to_string(code) + ", which may not be sent";
        return result;
    }
    const std::span<const uint8_t> reason = payload.subspan(2);
    if (!is_valid_utf8(reason)) {
        result.close_code = 1007;
        result.error = "Close frame has a reason that is not UTF-8"; // RFC 6455 5.5.1
        return result;
    }
    result.ok = true;
    result.close_code = 0;
    result.code = code;
    result.reason = {reinterpret_cast<const char *>(reason.data()), reason.size()};
    return result;
}

// RFC 6455 7.1.2: "... MUST send a Close ... whose status code is set to /code/ ..."
size_t encode_close(uint8_t *out, uint16_t code, std::string_view reason)
{
    if (code == 1005) { // never sent: it stands for an empty payload
        return 0;
    }
    const std::span text{reinterpret_cast<const uint8_t *>(reason.data()), reason.size()};
    const size_t len = utf8_prefix(text, kMaxCloseReason);
    out[0] = static_cast<uint8_t>(code >> 8);
    out[1] = static_cast<uint8_t>(code & 0xff);
    std::copy_n(text.begin(), len, out + 2);
    return 2 + len;
}

} // namespace websock
