// cookie.cpp: see cookie.h.
#include "protocol/cookie.h"

#include "protocol/http_syntax.h"

namespace websock {

namespace {

std::string_view without_quotes(std::string_view value)
{
    const bool quoted = value.size() >= 2 && value.starts_with('"') && value.ends_with('"');
    return quoted ? value.substr(1, value.size() - 2) : value;
}

} // namespace

// RFC 6265 4.2.1 has "; " between two of them; others write more blanks, or none.
std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name)
{
    std::optional<std::string_view> value;
    (void)any_element(
        header,
        [&](std::string_view pair) {
            const size_t equals = pair.find('=');
            if (equals == pair.npos || trim(pair.substr(0, equals)) != name) {
                return false;
            }
            value = without_quotes(trim(pair.substr(equals + 1)));
            return true;
        },
        ';');
    return value;
}

} // namespace websock
