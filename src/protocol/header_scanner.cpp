// header_scanner.cpp: finds the end of a request's header block while its bytes are still
// arriving. What the block says is read in handshake.cpp.
#include "protocol/handshake.h"

#include <algorithm>

namespace websock {

namespace {

// What may stand in a header line (RFC 9110 5.5). The request line, too, may have anything
// but control characters here; handshake.cpp is stricter.
bool is_text(char c)
{
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

} // namespace

HeaderScanner::Result HeaderScanner::scan(std::string_view bytes)
{
    const size_t end = std::min(bytes.size(), max_bytes_);
    while (result_ == Result::need_more && scanned_ < end) {
        pass_over_text(bytes.substr(0, end));
        if (scanned_ == end) {
            break;
        }
        if (const char *reason = byte_error(bytes)) {
            return refuse(400, reason);
        }
        ++scanned_;
        if (bytes.substr(0, scanned_).ends_with("\r\n\r\n")) {
            result_ = Result::complete;
        }
    }
    if (result_ == Result::need_more && scanned_ == max_bytes_) {
        return refuse(431, "request line and headers are too long");
    }
    return result_;
}

// Most bytes neither end a line nor follow a line's end: they need no closer look.
void HeaderScanner::pass_over_text(std::string_view bytes)
{
    while (scanned_ > 2 && scanned_ < bytes.size() && is_text(bytes[scanned_]) &&
           bytes[scanned_ - 1] != '\r') {
        ++scanned_;
    }
}

// Why the byte at scanned_ cannot follow those before it.
const char *HeaderScanner::byte_error(std::string_view bytes) const
{
    const std::string_view byte = bytes.substr(scanned_, 1);
    if (scanned_ == 0) {
        if (byte == "\x16") { // the record type of a ClientHello, RFC 8446 5.1
            return "this port speaks plain HTTP, not TLS";
        }
        if (byte == "\r") { // RFC 9112 2.2: one empty line before the request is passed over
            return nullptr;
        }
    }
    const size_t start = bytes.starts_with("\r\n") ? 2 : 0;
    if (scanned_ == start) {
        return is_header_token(byte) ? nullptr : "request does not begin with a method";
    }
    const bool after_cr = bytes[scanned_ - 1] == '\r';
    if (byte == "\n") {
        return after_cr ? nullptr : "LF without CR";
    }
    if (after_cr) {
        return "CR without LF";
    }
    return byte == "\r" || is_header_value(byte) ? nullptr : "control character in the headers";
}

HeaderScanner::Result HeaderScanner::refuse(int status, const char *reason)
{
    refusal_ = {status, reason};
    result_ = Result::refused;
    return result_;
}

} // namespace websock
