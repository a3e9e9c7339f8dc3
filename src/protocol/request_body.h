// request_body.h: the body of a plain HTTP request: how long it is, and what it is when it came in
// chunks (RFC 9112 6 and 7.1). Pure: bytes in, the body or a refusal out. Who reads the bytes, and
// until when, is in connection/connection_open.cpp.
#pragma once

#include "protocol/handshake.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace websock {

class RequestBody
{
  public:
    // max_bytes: of the body. max_extra: of chunk extensions and trailers together, which nobody
    // gets to see.
    RequestBody(size_t max_bytes, size_t max_extra) : max_bytes_(max_bytes), max_extra_(max_extra)
    {
    }

    enum class Result { need_more, complete, refused };

    // Reads what the headers say of the body. To be called once, before take().
    Result begin(const Request &request);

    // Takes bytes that follow the headers, or what was taken last. Once complete or refused, the
    // result stays, and nothing more is taken; used: how many bytes belonged to the request. Throws
    // std::bad_alloc. Memory grows with the bytes that have come, whatever was announced.
    Result take(std::string_view bytes, size_t &used);

    const Refusal &refusal() const { return refusal_; }

    // Once complete. Never nullptr, and followed by a NUL.
    const char *data() const { return bytes_.empty() ? "" : bytes_.data(); }
    size_t size() const { return bytes_.empty() ? 0 : bytes_.size() - 1; }

  private:
    // Lines are those between and behind the chunks; they end with CR LF.
    enum class State : uint8_t {
        size_line,     // of a chunk
        data,          // of a chunk, or of the body
        chunk_end,     // an empty line behind the data of a chunk
        trailer_lines, // and an empty one
        complete,
        refused,
    };

    Refusal begin_with_length(std::string_view list);
    void take_data(std::string_view bytes);
    Refusal take_of_line(char c);
    Refusal end_line(std::string_view line);
    Refusal begin_chunk(std::string_view line);
    void refuse(const Refusal &refusal);
    Result result() const;

    const size_t max_bytes_;
    const size_t max_extra_;
    State state_ = State::complete;
    bool chunked_ = false;
    size_t left_ = 0;         // of the chunk, or of the body
    size_t extra_ = 0;        // bytes of extensions and trailers so far
    std::string line_;        // as far as it has come
    std::vector<char> bytes_; // the body so far; once complete with a NUL, or empty
    Refusal refusal_;
};

// Whether the client waits to be told that its body is welcome (RFC 9110 10.1.1).
bool expects_continue(const Request &request);

// The answer to that.
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

} // namespace websock
