// wire.h: what a WebSocket client puts on the wire and finds there, for the tests: frames, Close
// payloads, HTTP requests and answers, as strings. No sockets. It shares no code with the
// library's own framing, so that the two can disagree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace test {

struct Frame {
    bool fin = false;
    unsigned opcode = 0;
    std::string payload = {}; // inflated, if it came compressed
    bool compressed = false;
    size_t wire_len = 0; // of a compressed one: bytes of payload as they came
};

struct Close {
    unsigned code = 0; // 1005: the frame had no code
    std::string reason;
};

struct HttpAnswer {
    int status = 0;
    std::string head; // status line and headers, blank line included
    std::string body;

    // The value of a header, name in any case; "" if absent.
    std::string header(std::string_view name) const;
};

// The bytes of a frame as a client sends it, with its length in the shortest form.
std::string encode_frame(bool fin, unsigned opcode, std::string_view payload, bool masked = true);

// A masked header alone. It announces payload_len bytes, which need not follow.
std::string encode_header(bool fin, unsigned opcode, uint64_t payload_len);

// The payload of a Close frame.
std::string close_payload(unsigned code, std::string_view reason = "");

// A valid opening handshake. headers is any number of lines, each ending in CRLF.
std::string upgrade_request(std::string_view target = "/", std::string_view headers = "");

// A number in network byte order.
uint64_t parse_number(std::string_view bytes);

// The key upgrade_request sends, and the Sec-WebSocket-Accept that answers it.
extern const char *const kKey;
extern const char *const kAccept;

// How a test client says that the server is wrong: throws std::runtime_error.
[[noreturn]] void fail(const std::string &what);

} // namespace test
