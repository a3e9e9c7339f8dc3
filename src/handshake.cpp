// handshake.cpp: what is in a request's header block. Where the block ends is found in
// header_scanner.cpp, whether it asks validly for an upgrade in upgrade_request.cpp, and
// what is answered is in handshake_response.cpp.
#include "handshake.h"

#include "http_syntax.h"

#include <algorithm>

namespace websock {

namespace {

constexpr size_t kMaxFields = 100; // header lines; a browser sends about 15

bool is_token_char(char c) // RFC 9110 5.6.2
{
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_control_char(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_http_version(std::string_view text) // RFC 9112 2.3
{
    return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
           is_digit(text[7]);
}

// RFC 9112 3.2: uri-host [":" port], of which only the characters are checked. It
// may be empty.
bool is_host(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_alphanumeric(c) ||
               std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
    });
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

Refusal Request::parse(std::string_view block)
{
    if (block.starts_with("\r\n")) { // RFC 9112 2.2: an empty line before it is none of it
        block.remove_prefix(2);
    }
    bytes_.assign(block);
    const std::string_view whole = bytes_;
    const size_t line_end = whole.find("\r\n");
    if (line_end == std::string_view::npos) {
        return bad_request("malformed request line");
    }
    if (Refusal refusal = parse_request_line(whole.substr(0, line_end)); refusal.status != 0) {
        return refusal;
    }
    if (Refusal refusal = parse_fields(line_end + 2); refusal.status != 0) {
        return refusal;
    }
    if (lines_of("Host") != 1 || !is_host(value_of("Host"))) { // RFC 9112 3.2
        return bad_request("request needs one valid Host header");
    }
    if (!has_element(value_of("Upgrade"), "websocket")) {
        return check_plain();
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
    // RFC 6455 4.2.1, item 1: 1.1 or higher; a later minor version is as good (RFC 9110 2.5).
    if (version[5] != '1' || version[7] == '0') {
        return {505, "HTTP version is not 1.1"};
    }
    return parse_target(target);
}

Refusal Request::parse_target(std::string_view target) // RFC 9112 3.2
{
    if (!is_all(target, [](char c) { return c > ' ' && c < 0x7f && c != '#'; })) {
        return bad_request("malformed request target");
    }
    const size_t scheme_end = target.find("://");
    const std::string_view scheme = target.substr(0, scheme_end);
    if (equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https")) {
        target.remove_prefix(std::min(target.size(), scheme.size() + 3));
        const std::string_view authority = target.substr(0, target.find_first_of("/?"));
        if (authority.empty() || !is_host(authority)) {
            return bad_request("request target has no valid host");
        }
        target.remove_prefix(authority.size());
    } else if (target.front() != '/') {
        return bad_request("request target is no path");
    }
    const std::string_view path = target.substr(0, target.find('?'));
    terminate(target);
    terminate(path);
    path_ = path.empty() ? "/" : path.data(); // "http://host?query" has none
    query_ = path.size() < target.size() ? path.data() + path.size() + 1 : "";
    return kNotRefused;
}

// at: where the first header line begins. Ends at the blank line.
Refusal Request::parse_fields(size_t at)
{
    const std::string_view whole = bytes_;
    const auto line_ends =
        std::count(bytes_.begin() + static_cast<std::ptrdiff_t>(at), bytes_.end(), '\n');
    fields_.reserve(std::min(static_cast<size_t>(line_ends), kMaxFields));
    for (size_t lines = 0;; ++lines) {
        const size_t end = whole.find("\r\n", at);
        if (end == std::string_view::npos) {
            return bad_request("headers have no end");
        }
        if (end == at) {
            return kNotRefused;
        }
        if (lines == kMaxFields) {
            return {431, "too many headers"};
        }
        if (Refusal refusal = parse_field(whole.substr(at, end - at)); refusal.status != 0) {
            return refusal;
        }
        at = end + 2;
    }
}

Refusal Request::parse_field(std::string_view line) // RFC 9112 5
{
    if (line.front() == ' ' || line.front() == '\t') {
        return bad_request("folded header line"); // RFC 9112 5.2
    }
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_header_token(name)) {
        return bad_request("malformed header line"); // RFC 9112 5.1: no space before the colon
    }
    const std::string_view value = trim(line.substr(colon + 1));
    if (!is_header_value(value)) {
        return bad_request("control character in the headers");
    }
    terminate(value);
    add_field(name, value);
    return kNotRefused;
}

// One line more of a name extends its value in place, so that a hundred of them
// take no more room than they took on the wire.
void Request::add_field(std::string_view name, std::string_view value)
{
    auto field = std::find_if(fields_.begin(), fields_.end(), [&](const Field &known) {
        return equals_ignoring_case(known.name, name);
    });
    if (field == fields_.end()) {
        fields_.push_back({name, value});
        return;
    }
    if (field->joined == nullptr) {
        field->joined = &joined_.emplace_front(field->value);
    }
    field->joined->append(", ").append(value);
    field->value = *field->joined;
    ++field->lines;
}

const Request::Field *Request::find(std::string_view name) const
{
    for (const Field &field : fields_) {
        if (equals_ignoring_case(field.name, name)) {
            return &field;
        }
    }
    return nullptr;
}

std::string_view Request::value_of(std::string_view name) const
{
    const Field *field = find(name);
    return field != nullptr ? field->value : std::string_view();
}

size_t Request::lines_of(std::string_view name) const
{
    const Field *field = find(name);
    return field != nullptr ? field->lines : 0;
}

// Sets a NUL behind a part of bytes_, over the delimiter that follows it.
void Request::terminate(std::string_view part)
{
    bytes_[static_cast<size_t>(part.data() - bytes_.data()) + part.size()] = '\0';
}

bool Request::is_head() const { return std::string_view(method_) == "HEAD"; }

const char *Request::header(std::string_view name) const
{
    const Field *field = find(name);
    return field != nullptr ? field->value.data() : nullptr;
}

} // namespace websock
