// handshake.cpp: parses a request's header block. Where the block ends is found in
// header_scanner.cpp, whether it is a valid upgrade is checked in upgrade_request.cpp, and
// the answer is made in handshake_response.cpp.
#include "protocol/handshake.h"

#include "protocol/http_syntax.h"

#include <algorithm>

namespace websock {

namespace {

bool is_token_char(char c) // RFC 9110 5.6.2
{
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_control_char(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_http_version(std::string_view text) // RFC 9112 2.3
{
    return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
           is_digit(text[7]);
}

// RFC 9112 3.2: uri-host [":" port]. Only its characters are checked. It may be empty.
bool is_host(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_alphanumeric(c) ||
               std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
    });
}

// The schemes of an absolute target. RFC 9112 3.2.2 has a server accept absolute URIs, and a
// client that takes the server for a proxy writes those of RFC 6455 3 as well.
bool is_scheme(std::string_view text)
{
    return equals_ignoring_case(text, "http") || equals_ignoring_case(text, "https") ||
           equals_ignoring_case(text, "ws") || equals_ignoring_case(text, "wss");
}

Refusal check_field(std::string_view line) // RFC 9112 5
{
    if (line.front() == ' ' || line.front() == '\t') {
        return bad_request("folded header line"); // RFC 9112 5.2
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_header_token(line.substr(0, colon))) {
        return bad_request("malformed header line"); // RFC 9112 5.1: no space before the colon
    }
    if (!is_header_value(line.substr(colon + 1))) {
        return bad_request("control character in the headers");
    }
    return kNotRefused;
}

} // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

bool is_header_token(std::string_view name) { return is_all(name, is_token_char); }

bool is_header_value(std::string_view value)
{
    return std::none_of(value.begin(), value.end(),
                        [](char c) { return is_control_char(c) && c != '\t'; });
}

// RFC 6455 4.2.1: "The server must parse at least part of this handshake ..."
Refusal Request::parse(std::string_view block, Bodies bodies)
{
    if (block.starts_with("\r\n")) { // RFC 9112 2.2: an empty line before it does not count
        block.remove_prefix(2);
    }
    const size_t line_end = block.find("\r\n");
    if (line_end == std::string_view::npos) {
        return bad_request("malformed request line");
    }
    line_.assign(block.substr(0, line_end));
    if (Refusal refusal = parse_request_line(line_); refusal.status != 0) {
        return refusal;
    }
    if (Refusal refusal = parse_fields(block.substr(line_end + 2)); refusal.status != 0) {
        return refusal;
    }
    if (Refusal refusal = check_host(); refusal.status != 0) {
        return refusal;
    }
    if (!has_element(value_of("Upgrade"), "websocket")) {
        return bodies == Bodies::accepted ? kNotRefused : check_no_body();
    }
    const Refusal refusal = check_upgrade();
    is_websocket_ = refusal.status == 0;
    return refusal;
}

Refusal Request::parse_request_line(std::string_view line) // RFC 9112 3
{
    const size_t space = line.find(' ');
    const std::string_view method = line.substr(0, space);
    if (space == std::string_view::npos || !is_header_token(method)) {
        return bad_request("malformed request line");
    }
    const std::string_view rest = line.substr(space + 1);
    const std::string_view target = rest.substr(0, rest.find(' '));
    const std::string_view version = rest.substr(std::min(rest.size(), target.size() + 1));
    if (!is_http_version(version)) {
        return bad_request("malformed request line");
    }
    method_ = method.data();
    terminate(method);
    // A later minor version is as good as 1.1 (RFC 9110 2.5).
    if (version[5] != '1') {
        return {505, "HTTP version is not 1.1"};
    }
    is_http_1_0_ = version[7] == '0';
    return parse_target(target);
}

Refusal Request::parse_target(std::string_view target) // RFC 9112 3.2
{
    // Bytes that are not ASCII should be percent-encoded, but not all clients do that.
    if (!is_all(target, [](char c) { return c != ' ' && !is_control_char(c); })) {
        return bad_request("malformed request target");
    }
    target = target.substr(0, target.find('#')); // a fragment, which should not have been sent
    const size_t scheme_end = target.find("://");
    const std::string_view scheme = target.substr(0, scheme_end);
    if (scheme_end != std::string_view::npos && is_scheme(scheme)) {
        target.remove_prefix(scheme.size() + 3);
        const std::string_view authority = target.substr(0, target.find_first_of("/?"));
        if (authority.empty() || !is_host(authority)) {
            return bad_request("request target has no valid host");
        }
        target.remove_prefix(authority.size());
    } else if (!target.starts_with('/')) {
        return bad_request("request target is not a path");
    }
    const std::string_view path = target.substr(0, target.find('?'));
    terminate(target);
    terminate(path);
    path_ = path.empty() ? "/" : path.data(); // "http://host?query" has none
    query_ = path.size() < target.size() ? path.data() + path.size() + 1 : "";
    return kNotRefused;
}

// fields: all that follows the request line. Only what comes before the blank line is read.
Refusal Request::parse_fields(std::string_view fields)
{
    std::vector<std::string_view> lines;
    lines.reserve(static_cast<size_t>(std::count(fields.begin(), fields.end(), '\n')));
    for (;;) {
        const size_t end = fields.find("\r\n");
        if (end == std::string_view::npos) {
            return bad_request("headers are not terminated");
        }
        if (end == 0) {
            headers_.build(std::move(lines));
            return kNotRefused;
        }
        const std::string_view line = fields.substr(0, end);
        if (Refusal refusal = check_field(line); refusal.status != 0) {
            return refusal;
        }
        lines.push_back(line);
        fields.remove_prefix(end + 2);
    }
}

Refusal Request::check_host() const // RFC 9112 3.2
{
    const HeaderTable::Header host = headers_.find("Host");
    if (host.value == nullptr && is_http_1_0_) { // HTTP/1.0 has no Host
        return kNotRefused;
    }
    if (host.value == nullptr || host.repeated || !is_host(host.value)) {
        return bad_request("request needs one valid Host header");
    }
    return kNotRefused;
}

std::string_view Request::value_of(std::string_view name) const
{
    const char *value = header(name);
    return value != nullptr ? value : std::string_view();
}

// Ends a part of line_ with a NUL, in place of the delimiter after it.
void Request::terminate(std::string_view part)
{
    line_[static_cast<size_t>(part.data() - line_.data()) + part.size()] = '\0';
}

bool Request::is_head() const { return std::string_view(method_) == "HEAD"; }

const char *Request::header(std::string_view name) const { return headers_.find(name).value; }

} // namespace websock
