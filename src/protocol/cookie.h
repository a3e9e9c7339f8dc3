// cookie.h: the cookies that a request brings, RFC 6265 4.2. Pure. Cookies are set with
// libwebsock_add_response_header, and nothing here knows about that.
#pragma once

#include <optional>
#include <string_view>

namespace websock {

// The value of the first cookie with this name in the value of one Cookie header, without double
// quotes around it, and otherwise as it was sent. Names are case-sensitive. What has no '=' is no
// cookie.
std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name);

} // namespace websock
