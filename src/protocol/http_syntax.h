// http_syntax.h: small pieces of HTTP's grammar that the files of the handshake share. Whole
// requests are parsed in handshake.cpp.
#pragma once

#include "protocol/handshake.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace websock {

inline constexpr Refusal kNotRefused;

inline Refusal bad_request(const char *reason) { return {400, reason}; }

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

inline bool is_all(std::string_view text, bool (*matches)(char))
{
    return !text.empty() && std::all_of(text.begin(), text.end(), matches);
}

inline std::string_view trim(std::string_view text) // RFC 9110 5.6.3: OWS
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

// Whether an element of the list matches; white space around it is not part of it.
// "a,,b" has an empty element, and so has "". RFC 9110 5.6.1.2: where elements may not be
// empty, empty ones do not count, but there must be at least one other.
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

inline bool has_element(std::string_view list, std::string_view wanted)
{
    return any_element(list, [&](std::string_view e) { return equals_ignoring_case(e, wanted); });
}

// RFC 9112 6.3: a list of one number, repeated, counts as that number.
inline bool is_content_length(std::string_view list)
{
    const std::string_view first = trim(list.substr(0, list.find(',')));
    return is_all(first, is_digit) &&
           !any_element(list, [&](std::string_view element) { return element != first; });
}

// RFC 9110 5.6.4: what a quoted-string stands for; text without quotes is left as it is. Empty
// if the quotes do not end.
inline std::string unquoted(std::string_view text)
{
    if (!text.starts_with('"')) {
        return std::string(text);
    }
    std::string plain;
    if (text.size() < 2 || !text.ends_with('"')) {
        return plain;
    }
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) { // quoted-pair
            ++i;
        }
        plain += text[i];
    }
    return plain;
}

// Of RFC 6455 9.1: name or name=value; the value may be a quoted-string.
struct ExtensionParameter {
    std::string_view name;
    std::optional<std::string_view> value;
};

inline ExtensionParameter extension_parameter(std::string_view text)
{
    const size_t equals = text.find('=');
    if (equals == text.npos) {
        return {trim(text), std::nullopt};
    }
    return {trim(text.substr(0, equals)), trim(text.substr(equals + 1))};
}

} // namespace websock
