// upgrade_request.cpp: whether a request that was parsed is a valid upgrade, RFC 6455 4.2.1,
// or plain HTTP that can be answered. How it is parsed is in handshake.cpp.
#include "handshake.h"
#include "http_syntax.h"

#include <algorithm>
#include <utility>

namespace websock {

namespace {

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

bool Request::offers_protocol(std::string_view name) const
{
    return !name.empty() && any_element(value_of("Sec-WebSocket-Protocol"),
                                        [&](std::string_view offered) { return offered == name; });
}

} // namespace websock
