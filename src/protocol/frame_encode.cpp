// frame_encode.cpp: the frame encoder, and the payload of Close frames. See frame.h.
#include "protocol/frame.h"

#include <algorithm>

namespace websock {

namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kReservedBit1 = 0x40; // RFC 7692 6: the message is compressed
constexpr uint8_t kLength16 = 126;      // the length is in the next 2 bytes
constexpr uint8_t kLength64 = 127;      // in the next 8

} // namespace

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
