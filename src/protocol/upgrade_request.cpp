// upgrade_request.cpp: whether a parsed request is a valid upgrade (RFC 6455 4.2.1), or plain
// HTTP that can be answered; and what an upgrade offers. Parsing is in handshake.cpp.
#include "protocol/handshake.h"
#include "protocol/http_syntax.h"

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

// RFC 6455 9.1: a token and its parameters, "name; a; b=1". A value has no ';' in it, since
// it must be a token even in quotes.
// RFC 6455 4.3: "... the value after quoted-string unescaping MUST conform to the 'token' ABNF."
// RFC 6455 9.1: "... the value after quoted-string unescaping MUST conform to the 'token' ABNF."
bool is_extension(std::string_view text)
{
    bool is_name = true;
    return !any_element(
        text,
        [&](std::string_view part) {
            if (std::exchange(is_name, false)) {
                return !is_header_token(part);
            }
            const ExtensionParameter parameter = extension_parameter(part);
            return !is_header_token(parameter.name) ||
                   (parameter.value && !is_header_token(unquoted(*parameter.value)));
        },
        ';');
}

// Takes the first offer off the list. A comma in quotes does not end it.
std::string_view take_offer(std::string_view &list)
{
    bool quoted = false;
    size_t end = 0;
    for (; end < list.size() && (quoted || list[end] != ','); ++end) {
        if (list[end] == '"') {
            quoted = !quoted;
        } else if (quoted && list[end] == '\\' && end + 1 < list.size()) { // RFC 9110 5.6.4
            ++end;
        }
    }
    const std::string_view offer = trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    return offer;
}

// RFC 6455 4.1, item 10, demands a token. Names that are not tokens are in use, such as
// "v1:compact" or a credential in base64, and do no harm.
bool is_protocol_name(std::string_view name)
{
    return is_all(name, [](char c) { return c >= ' ' && c <= '~'; });
}

} // namespace

Refusal Request::check_no_body() const
{
    if (const char *length = header("Content-Length")) { // RFC 9112 6.3, item 5
        if (!is_content_length(length)) {
            return bad_request("malformed Content-Length");
        }
        if (std::string_view(length).find_first_of("123456789") != std::string_view::npos) {
            return {413, "requests with a body are not supported"};
        }
    }
    if (header("Transfer-Encoding") != nullptr) {
        return {413, "requests with a body are not supported"};
    }
    return kNotRefused;
}

// RFC 6455 4.2.1: "... the server MUST stop processing the client's handshake ..."
Refusal Request::check_upgrade() const
{
    if (is_http_1_0_) { // item 1
        return {505, "a WebSocket handshake needs HTTP/1.1"};
    }
    if (std::string_view(method_) != "GET") {
        return {405, "a WebSocket handshake is a GET request"};
    }
    const char *length = header("Content-Length");
    if (header("Transfer-Encoding") != nullptr ||
        (length != nullptr && std::string_view(length) != "0")) {
        return bad_request("a WebSocket handshake has no body");
    }
    if (!has_element(value_of("Connection"), "Upgrade")) {
        return bad_request("Connection header does not say Upgrade");
    }
    // RFC 6455 11.3.5: "... |Sec-WebSocket-Version| header field MUST NOT appear more than ..."
    const HeaderTable::Header version = headers_.find("Sec-WebSocket-Version");
    if (version.value == nullptr || version.repeated) {
        return bad_request("request needs one Sec-WebSocket-Version header");
    }
    // RFC 6455 4.2.2: "If this version does not match ... the server MUST abort ..."
    if (std::string_view(version.value) != "13") {
        return {426, "WebSocket version is not 13"};
    }
    // RFC 6455 11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once ..."
    const HeaderTable::Header key = headers_.find("Sec-WebSocket-Key");
    if (key.value == nullptr || key.repeated || !is_websocket_key(key.value)) {
        return bad_request("request needs one valid Sec-WebSocket-Key header");
    }
    return kNotRefused;
}

// RFC 6455 4.2.2: "The value chosen MUST be derived from the client's handshake, ..."
bool Request::offers_protocol(std::string_view name) const
{
    return is_protocol_name(name) &&
           any_element(value_of("Sec-WebSocket-Protocol"),
                       [&](std::string_view offered) { return offered == name; });
}

std::vector<std::string_view> Request::extension_offers() const
{
    std::vector<std::string_view> offers;
    for (std::string_view list = value_of("Sec-WebSocket-Extensions"); !list.empty();) {
        const std::string_view offer = take_offer(list);
        if (is_extension(offer)) {
            offers.push_back(offer);
        }
    }
    return offers;
}

} // namespace websock
