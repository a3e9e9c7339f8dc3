// handshake.h: the opening handshake, RFC 6455 section 4, and as much of HTTP/1.1
// (RFC 9112) as it needs. Pure: bytes in, request or refusal out; answers are
// built as strings. Sockets, deadlines and the request hook are elsewhere.
#pragma once

#include "protocol/header_table.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websock {

// Why a request is refused: an HTTP status, and a reason for the log and the
// body of the answer. status 0: it is not refused.
struct Refusal {
    int status = 0;
    const char *reason = "";
};

// Looks for the end of the header block in bytes that arrive in pieces. What cannot
// be an HTTP request is refused as soon as the byte that shows it is there: a first
// byte that no method starts with, NUL or another control character, an LF without
// CR, a CR without LF (400), max_bytes bytes without an end (431). One empty line
// may come before the request, and counts as part of its block.
class HeaderScanner
{
  public:
    explicit HeaderScanner(size_t max_bytes) : max_bytes_(max_bytes) {}

    enum class Result { need_more, complete, refused };

    // bytes: everything received so far, from the request's first byte on. What was
    // scanned before is not scanned again. Once complete or refused, the result stays.
    Result scan(std::string_view bytes);

    size_t length() const { return scanned_; } // once complete: of the block with its blank line
    const Refusal &refusal() const { return refusal_; }

  private:
    Result refuse(int status, const char *reason);

    void pass_over_text(std::string_view bytes);
    const char *byte_error(std::string_view bytes) const;

    size_t max_bytes_;
    size_t scanned_ = 0;
    Result result_ = Result::need_more;
    Refusal refusal_;
};

// One parsed request. Owns its bytes; immutable once parsed, so any thread may
// read it. All strings are NUL-terminated and live as long as the Request.
class Request
{
  public:
    Request() = default;
    Request(const Request &) = delete;
    Request &operator=(const Request &) = delete;

    // What becomes of a plain request that has a body: it is refused, or a RequestBody is to
    // look at what its headers say of that.
    enum class Bodies { refused, accepted };

    // Parses a complete header block, as HeaderScanner found it. Returns why it is
    // refused, or status 0: then it is either a plain HTTP request or a valid
    // upgrade. To be called once. Throws std::bad_alloc. The accessors work after a
    // refusal, too, and give what had been read by then: all of the headers or none.
    Refusal parse(std::string_view block, Bodies bodies = Bodies::refused);

    const char *method() const { return method_; }
    const char *path() const { return path_; }
    const char *query() const { return query_; }
    bool is_websocket() const { return is_websocket_; }
    bool is_head() const;
    bool is_http_1_0() const { return is_http_1_0_; }

    // nullptr if absent. Several of the same name are joined with ", ".
    const char *header(std::string_view name) const;

    // Calls visit(name, value) for each header line, as HeaderTable::each does.
    template<class Visit> int each_header(const Visit &visit) const { return headers_.each(visit); }

    // Whether the client offered this subprotocol (case-sensitive, RFC 6455 4.1).
    bool offers_protocol(std::string_view name) const;

    // The extensions the client offered, in its order, each with its parameters as sent.
    // Those that do not follow RFC 6455 9.1 are left out. Throws std::bad_alloc.
    std::vector<std::string_view> extension_offers() const;

  private:
    Refusal parse_request_line(std::string_view line);
    Refusal parse_target(std::string_view target);
    Refusal parse_fields(std::string_view fields);
    std::string_view value_of(std::string_view name) const;
    Refusal check_host() const;
    Refusal check_no_body() const;
    Refusal check_upgrade() const;
    void terminate(std::string_view part);

    std::string line_; // the request line, with a NUL after each of the parts below
    const char *method_ = "";
    const char *path_ = "";
    const char *query_ = "";
    bool is_http_1_0_ = false;
    bool is_websocket_ = false;
    HeaderTable headers_;
};

using ExtraHeaders = std::vector<std::pair<std::string, std::string>>;

// A point in time as HTTP writes it (RFC 9110 5.6.7), whatever the locale: "Sun, 06 Nov
// 1994 08:49:37 GMT".
struct HttpDate {
    explicit HttpDate(std::chrono::sys_seconds when);

    char text[64]; // NUL-terminated; 29 characters until the year 9999
};

// base64(SHA-1(key + GUID)), RFC 6455 4.2.2. Throws std::bad_alloc, and so do the
// responses below. All of these have a Date: now, unless extra has one.
std::string accept_key(std::string_view key);

// The whole 101 for a request that is_websocket. protocol and extensions, the values of their
// headers, may be empty: then there is no such header.
std::string upgrade_response(const Request &request, std::string_view protocol,
                             std::string_view extensions, const ExtraHeaders &extra,
                             std::chrono::sys_seconds now);

// Any other answer (status 200 to 599), the whole of it: with Connection: close,
// Content-Length, and what the status asks for:
// Sec-WebSocket-Version: 13 and Upgrade: websocket (426), Retry-After: 1 (503, unless
// extra has one). A Content-Type in extra takes precedence over content_type, which
// may be empty. 204 and 304 have neither a body nor a length, 205 has an empty body.
// head_only: the body is left out, but not its length.
std::string plain_response(int status, std::string_view content_type, std::string_view body,
                           const ExtraHeaders &extra, bool head_only, std::chrono::sys_seconds now);

// The answer to what is refused: a plain_response whose body is one line of text with
// the reason. 405 has Allow: GET.
std::string refusal_response(const Refusal &refusal, bool head_only, ExtraHeaders extra,
                             std::chrono::sys_seconds now);

// "Not Found" for 404; "Unknown" for a status that it does not know.
const char *status_text(int status);

// What libwebsock_add_response_header checks.
bool is_header_token(std::string_view name);
bool is_header_value(std::string_view value); // no control characters but tab
bool is_reserved_header(std::string_view name);

bool equals_ignoring_case(std::string_view a, std::string_view b);

} // namespace websock
