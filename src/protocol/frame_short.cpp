// frame_short.cpp: the decoder's short way for what clients send most: a whole message that is
// short and in one frame. It decides nothing that frame.cpp does not decide alike.
#include "protocol/frame.h"

#include <cstring>

namespace websock {

namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7f;
constexpr size_t kHeader = 6; // with the mask key

bool is_whole_message(uint8_t first_byte)
{
    return first_byte == (kFin | static_cast<uint8_t>(Opcode::text)) ||
           first_byte == (kFin | static_cast<uint8_t>(Opcode::binary));
}

// Of text that is not valid.
Decoded text_failure(std::span<const uint8_t> text)
{
    Decoded result;
    result.kind = Decoded::error;
    result.close_code = 1007;
    result.reason =
        Utf8Validator().feed(text) ? "text ends inside a character" : "text is not UTF-8";
    return result;
}

} // namespace

bool Decoder::decode_short(std::span<uint8_t> bytes, Decoded &into)
{
    if (bytes.size() < kHeader || have_header_ || in_message_ || parts_ ||
        !is_whole_message(bytes[0]))
        return false;
    const size_t len = bytes[1] & kLengthBits;
    const bool is_plain = (bytes[1] & kMasked) != 0 && len <= kMaxControlPayload &&
                          len <= limits_.max_frame_payload && len <= limits_.max_message_payload;
    if (!is_plain || bytes.size() - kHeader < len)
        return false;
    const auto opcode = static_cast<Opcode>(bytes[0] & ~kFin);
    uint8_t *const payload = bytes.data() + 2;
    uint8_t key[4]; // it is overwritten
    std::memcpy(key, payload, sizeof key);
    unmask(payload, payload + sizeof key, len, key, 0);
    if (opcode == Opcode::text && !is_valid_utf8({payload, len})) {
        into = text_failure({payload, len});
        return true;
    }
    payload[len] = 0;
    // The same as finish() leaves.
    message_opcode_ = opcode;
    message_compressed_ = false;
    into.kind = Decoded::frame;
    into.fin = true;
    into.opcode = into.message_opcode = opcode;
    into.payload_len = into.announced_len = len;
    into.compressed = false;
    into.begins_frame = true;
    into.frame_len = kHeader + len;
    into.payload = payload;
    return true;
}

} // namespace websock
