// wire.cpp: the encoders, and the headers of an HTTP answer; see wire.h.
#include "wire.h"

#include <stdexcept>
#include <strings.h>

namespace test {

// The example of RFC 6455 1.3.
const char *const kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const char *const kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

namespace {

constexpr char kMask[4] = {'\x37', '\xfa', '\x21', '\x3d'};

void append_number(std::string &out, uint64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

std::string header_bytes(bool fin, unsigned opcode, uint64_t len, bool masked)
{
    std::string out;
    out.push_back(static_cast<char>((fin ? 0x80u : 0u) | opcode));
    unsigned mask_bit = masked ? 0x80u : 0u;
    if (len < 126) {
        out.push_back(static_cast<char>(mask_bit | len));
    } else if (len < 65536) {
        out.push_back(static_cast<char>(mask_bit | 126));
        append_number(out, len, 2);
    } else {
        out.push_back(static_cast<char>(mask_bit | 127));
        append_number(out, len, 8);
    }
    return out;
}

} // namespace

void fail(const std::string &what) { throw std::runtime_error("test client: " + what); }

uint64_t parse_number(std::string_view bytes)
{
    uint64_t value = 0;
    for (char byte : bytes)
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::string HttpAnswer::header(std::string_view name) const
{
    for (size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at)) {
        at += 2;
        if (head.size() - at <= name.size() || head[at + name.size()] != ':')
            continue;
        if (::strncasecmp(head.data() + at, name.data(), name.size()) != 0)
            continue;
        size_t begin = head.find_first_not_of(' ', at + name.size() + 1);
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
    return "";
}

std::string encode_header(bool fin, unsigned opcode, uint64_t payload_len)
{
    return header_bytes(fin, opcode, payload_len, true) + std::string(kMask, sizeof kMask);
}

std::string encode_frame(bool fin, unsigned opcode, std::string_view payload, bool masked)
{
    std::string out = header_bytes(fin, opcode, payload.size(), masked);
    if (!masked)
        return out.append(payload);
    out.append(kMask, sizeof kMask);
    size_t start = out.size();
    out.append(payload);
    for (size_t i = start; i < out.size(); i++)
        out[i] = static_cast<char>(out[i] ^ kMask[(i - start) & 3]);
    return out;
}

std::string close_payload(unsigned code, std::string_view reason)
{
    std::string out;
    append_number(out, code, 2);
    return out.append(reason);
}

std::string upgrade_request(std::string_view target, std::string_view headers)
{
    std::string out = "GET ";
    out.append(target);
    out.append(" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    return out.append(kKey).append("\r\n").append(headers).append("\r\n");
}

} // namespace test
