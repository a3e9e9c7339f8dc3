// handshake.cpp: what is in a request's header block, and whether that is a valid
// upgrade. Where the block ends is found in header_scanner.cpp, and what is
// answered is in handshake_response.cpp.
#include "handshake.h"

#include <algorithm>
#include <utility>

namespace websock {

namespace {

constexpr size_t kMaxFields = 100; // header lines; a browser sends about 15
constexpr Refusal kNotRefused;

Refusal bad_request(const char *reason) { return {400, reason}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_token_char(char c) // RFC 9110 5.6.2
{
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_control_char(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) // RFC 9110 5.6.3: OWS
{
    auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

// Whether a list has an element, without the white space around it, that matches.
// "a,,b" has an empty one, and so has "". RFC 9110 5.6.1.2: where an element may not be
// empty, those that are do not count, but there must be another one.
template<typename Predicate>
bool any_element(std::string_view list, Predicate matches, char separator = ',')
{
    for (;;) {
        const size_t end = list.find(separator);
        if (matches(trim(list.substr(0, end)))) {
            return true;
        }
        if (end == std::string_view::npos) {
            return false;
        }
        list.remove_prefix(end + 1);
    }
}

bool has_element(std::string_view list, std::string_view wanted)
{
    return any_element(list, [&](std::string_view e) { return equals_ignoring_case(e, wanted); });
}

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

// 16 bytes in base64: 22 characters and two of padding. RFC 6455 4.2.1, item 5.
bool is_websocket_key(std::string_view key)
{
    if (key.size() != 24 || !key.ends_with("==")) {
        return false;
    }
    key.remove_suffix(2);
    return std::all_of(key.begin(), key.end(),
                       [](char c) { return is_alphanumeric(c) || c == '+' || c == '/'; });
}

bool is_all(std::string_view text, bool (*matches)(char))
{
    return !text.empty() && std::all_of(text.begin(), text.end(), matches);
}

// RFC 9112 6.3: a list of one number, repeated, counts as that number.
bool is_content_length(std::string_view list)
{
    const std::string_view first = trim(list.substr(0, list.find(',')));
    return is_all(first, is_digit) &&
           !any_element(list, [&](std::string_view element) { return element != first; });
}

// What is in quotes must be a token too (RFC 6455 9.1), so neither ',' nor ';' is in it.
bool is_extension_value(std::string_view value)
{
    if (!value.starts_with('"')) {
        return is_header_token(value);
    }
    if (value.size() < 2 || !value.ends_with('"')) {
        return false;
    }
    std::string unquoted;
    for (size_t i = 1; i + 1 < value.size(); ++i) {
        if (value[i] == '\\' && i + 2 < value.size()) { // RFC 9110 5.6.4: quoted-pair
            ++i;
        }
        unquoted += value[i];
    }
    return is_header_token(unquoted);
}

// RFC 6455 9.1: a token and its parameters, "name; a; b=1".
bool is_extension(std::string_view text)
{
    bool is_name = true;
    return !any_element(
        text,
        [&](std::string_view part) {
            const size_t equals = std::exchange(is_name, false) ? part.npos : part.find('=');
            return !is_header_token(trim(part.substr(0, equals))) ||
                   (equals != part.npos && !is_extension_value(trim(part.substr(equals + 1))));
        },
        ';');
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

Refusal Request::check_plain() const
{
    if (const Field *length = find("Content-Length")) { // RFC 9112 6.3, item 5
        if (!is_content_length(length->value)) {
            return bad_request("malformed Content-Length");
        }
        if (length->value.find_first_of("123456789") != std::string_view::npos) {
            return {413, "requests with a body are not supported"};
        }
    }
    if (find("Transfer-Encoding") != nullptr) {
        return {413, "requests with a body are not supported"};
    }
    return kNotRefused;
}

Refusal Request::check_upgrade() const // RFC 6455 4.2.1
{
    if (std::string_view(method_) != "GET") {
        return {405, "a WebSocket handshake is a GET request"};
    }
    const Field *length = find("Content-Length");
    if (find("Transfer-Encoding") != nullptr || (length != nullptr && length->value != "0")) {
        return bad_request("a WebSocket handshake has no body");
    }
    if (!has_element(value_of("Connection"), "Upgrade")) {
        return bad_request("Connection header does not say Upgrade");
    }
    if (lines_of("Sec-WebSocket-Version") != 1) {
        return bad_request("request needs one Sec-WebSocket-Version header");
    }
    if (value_of("Sec-WebSocket-Version") != "13") {
        return {426, "WebSocket version is not 13"}; // RFC 6455 4.4
    }
    if (lines_of("Sec-WebSocket-Key") != 1 || !is_websocket_key(value_of("Sec-WebSocket-Key"))) {
        return bad_request("request needs one valid Sec-WebSocket-Key header");
    }
    if (Refusal refusal = check_protocols(); refusal.status != 0) {
        return refusal;
    }
    return check_extensions();
}

Refusal Request::check_protocols() const // RFC 6455 4.1, item 10
{
    const Field *field = find("Sec-WebSocket-Protocol");
    if (field == nullptr) {
        return kNotRefused;
    }
    std::vector<std::string_view> names;
    const bool malformed = any_element(field->value, [&](std::string_view name) {
        if (name.empty()) {
            return false;
        }
        names.push_back(name);
        return !is_header_token(name);
    });
    if (malformed || names.empty()) {
        return bad_request("malformed Sec-WebSocket-Protocol header");
    }
    std::sort(names.begin(), names.end()); // comparing each with each would be quadratic
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
        return bad_request("Sec-WebSocket-Protocol header repeats a name");
    }
    return kNotRefused;
}

// RFC 6455 9.1: malformed, they fail the handshake, even if none is going to be used.
Refusal Request::check_extensions() const
{
    const Field *field = find("Sec-WebSocket-Extensions");
    if (field == nullptr) {
        return kNotRefused;
    }
    bool any = false;
    const bool malformed = any_element(field->value, [&](std::string_view extension) {
        any = any || !extension.empty();
        return !extension.empty() && !is_extension(extension);
    });
    if (malformed || !any) {
        return bad_request("malformed Sec-WebSocket-Extensions header");
    }
    return kNotRefused;
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

bool Request::offers_protocol(std::string_view name) const
{
    return !name.empty() && any_element(value_of("Sec-WebSocket-Protocol"),
                                        [&](std::string_view offered) { return offered == name; });
}

} // namespace websock
