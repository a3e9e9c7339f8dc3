// handshake_response.cpp: the answers to requests: the 101 of RFC 6455 4.2.2, and every
// other HTTP answer. Requests are read in handshake.cpp.
#include "protocol/handshake.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>
#include <new>

namespace websock {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 1.3

struct StatusText {
    int status;
    const char *text;
};

// RFC 9110 15; RFC 6585 for 428, 429, 431 and 511; RFC 7725 for 451.
constexpr StatusText kStatusTexts[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {511, "Network Authentication Required"},
};

bool has_header(const ExtraHeaders &headers, std::string_view name)
{
    return std::any_of(headers.begin(), headers.end(), [&](const auto &header) {
        return equals_ignoring_case(header.first, name);
    });
}

void append_header(std::string &out, std::string_view name, std::string_view value)
{
    out.append(name).append(": ").append(value).append("\r\n");
}

void append_headers(std::string &out, const ExtraHeaders &headers)
{
    for (const auto &[name, value] : headers) {
        append_header(out, name, value);
    }
}

void append_date(std::string &out, const ExtraHeaders &extra, std::chrono::sys_seconds now)
{
    if (!has_header(extra, "Date")) { // RFC 9110 6.6.1
        append_header(out, "Date", HttpDate(now).text);
    }
}

void append_connection(std::string &out, int status)
{
    if (status != 426) {
        append_header(out, "Connection", "close");
        return;
    }
    append_header(out, "Upgrade", "websocket"); // RFC 9110 15.5.22
    append_header(out, "Connection", "Upgrade, close");
    // RFC 6455 4.4: "... MUST respond with a |Sec-WebSocket-Version| header field ..."
    append_header(out, "Sec-WebSocket-Version", "13");
}

} // namespace

std::string accept_key(std::string_view key)
{
    std::string input;
    input.reserve(key.size() + kGuid.size());
    input.append(key).append(kGuid);

    // Fetched only once: with EVP_sha1() OpenSSL looks it up each time.
    static const EVP_MD *const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    unsigned char digest[SHA_DIGEST_LENGTH];
    if (EVP_Digest(input.data(), input.size(), digest, nullptr, sha1 ? sha1 : EVP_sha1(),
                   nullptr) != 1) {
        ERR_clear_error(); // or a TLS connection on this thread would take the error for its own
        throw std::bad_alloc();
    }
    unsigned char encoded[(SHA_DIGEST_LENGTH + 2) / 3 * 4 + 1]; // with EVP_EncodeBlock's NUL
    const int len = EVP_EncodeBlock(encoded, digest, sizeof digest);
    return std::string(encoded, encoded + len);
}

HttpDate::HttpDate(std::chrono::sys_seconds when)
{
    constexpr const char *kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char *kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto midnight = std::chrono::floor<std::chrono::days>(when);
    const std::chrono::year_month_day day(midnight);
    const std::chrono::hh_mm_ss time(when - midnight);
    (void)std::snprintf(
        text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT",
        kDays[std::chrono::weekday(midnight).c_encoding()], unsigned{day.day()},
        kMonths[unsigned{day.month()} - 1], int{day.year()}, static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
}

// RFC 6455 4.2.2: "... the server MUST complete the following steps to accept the connection ..."
// RFC 6455 4.2.2: "... MUST reply with a valid HTTP response indicating the following."
std::string upgrade_response(const Request &request, std::string_view protocol,
                             std::string_view extensions, const ExtraHeaders &extra,
                             std::chrono::sys_seconds now)
{
    std::string out;
    out.reserve(256);
    out = "HTTP/1.1 101 Switching Protocols\r\n"
          "Upgrade: websocket\r\n"
          "Connection: Upgrade\r\n";
    append_header(out, "Sec-WebSocket-Accept", accept_key(request.header("Sec-WebSocket-Key")));
    // RFC 6455 4.2.2: "... MUST NOT send back a |Sec-WebSocket-Protocol| header field ..."
    if (!protocol.empty()) {
        append_header(out, "Sec-WebSocket-Protocol", protocol);
    }
    // An empty header would break Safari.
    // RFC 7692 5: "A server declining all offered PMCEs MUST NOT include any element ..."
    if (!extensions.empty()) {
        append_header(out, "Sec-WebSocket-Extensions", extensions);
    }
    append_date(out, extra, now);
    append_headers(out, extra);
    return out.append("\r\n");
}

std::string plain_response(int status, std::string_view content_type, std::string_view body,
                           const ExtraHeaders &extra, bool head_only, std::chrono::sys_seconds now)
{
    const bool bodiless = status == 204 || status == 304; // RFC 9110 8.6, 15.4.5
    if (status == 205) {
        body = {}; // RFC 9110 15.3.6
    }
    std::string out = "HTTP/1.1 ";
    out.append(std::to_string(status)).append(" ").append(status_text(status)).append("\r\n");
    append_connection(out, status);
    append_date(out, extra, now);
    if (status == 503 && !has_header(extra, "Retry-After")) {
        append_header(out, "Retry-After", "1");
    }
    if (!bodiless) {
        if (!content_type.empty() && !has_header(extra, "Content-Type")) {
            append_header(out, "Content-Type", content_type);
        }
        append_header(out, "Content-Length", std::to_string(body.size()));
    }
    append_headers(out, extra);
    out.append("\r\n");
    if (!bodiless && !head_only) {
        out.append(body);
    }
    return out;
}

std::string refusal_response(const Refusal &refusal, bool head_only, ExtraHeaders extra,
                             std::chrono::sys_seconds now)
{
    if (refusal.status == 405) {
        extra.emplace_back("Allow", "GET"); // RFC 9110 15.5.6
    }
    const std::string body = std::string(refusal.reason) + "\n";
    return plain_response(refusal.status, "text/plain; charset=utf-8", body, extra, head_only, now);
}

// RFC 6455 4.2.2: "Extensions not listed by the client MUST NOT be listed."
// RFC 6455 9: "A server MUST NOT respond with any extension not requested by the client."
// RFC 6455 11.3.2: "... |Sec-WebSocket-Extensions| header field MUST NOT appear more than once ..."
// RFC 6455 11.3.3: "The |Sec-WebSocket-Accept| header MUST NOT appear more than once ..."
// RFC 6455 11.3.4: "... |Sec-WebSocket-Protocol| header field MUST NOT appear more than once ..."
bool is_reserved_header(std::string_view name)
{
    constexpr std::string_view kPrefix = "Sec-WebSocket-";
    return equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Upgrade") ||
           equals_ignoring_case(name, "Content-Length") ||
           equals_ignoring_case(name, "Transfer-Encoding") ||
           equals_ignoring_case(name.substr(0, kPrefix.size()), kPrefix);
}

const char *status_text(int status)
{
    for (const StatusText &known : kStatusTexts) {
        if (known.status == status) {
            return known.text;
        }
    }
    return "Unknown";
}

} // namespace websock
