// query_parameter.cpp, for libwebsock_query_parameter(3): what a request says, taken apart.
#include "api/checked.h"
#include "protocol/cookie.h"
#include "protocol/handshake.h"
#include "protocol/url_encoded.h"

#include <optional>
#include <string_view>
#include <websock/websock.h>

using namespace websock;

namespace {

const Request &request_of(const libwebsock_request *request)
{
    return *static_cast<const Request *>(request->priv);
}

std::optional<std::string_view> cookie_of(const Request &request, std::string_view name)
{
    std::optional<std::string_view> found;
    (void)request.each_header([&](std::string_view header, std::string_view value) {
        if (equals_ignoring_case(header, "Cookie"))
            found = find_cookie(value, name);
        return found ? 1 : 0;
    });
    return found;
}

// find: (request, name), the encoded value if there is one.
template<class Find>
int decoded(const libwebsock_request *request, const char *name, char *out, size_t size, Plus plus,
            const Find &find)
{
    return checked([&] {
        if (!out || size == 0)
            return EINVAL;
        const std::optional<std::string_view> value =
            request && name ? find(request_of(request), name) : std::nullopt;
        if (value)
            return decode_into(*value, plus, out, size);
        *out = '\0';
        return request && name ? ENOENT : EINVAL;
    });
}

} // namespace

extern "C" {

int libwebsock_query_parameter(const libwebsock_request *request, const char *name, char *out,
                               size_t size)
{
    return decoded(request, name, out, size, Plus::is_space,
                   [](const Request &of, std::string_view wanted) {
                       return find_query_parameter(of.query(), wanted);
                   });
}

int libwebsock_cookie(const libwebsock_request *request, const char *name, char *out, size_t size)
{
    return decoded(request, name, out, size, Plus::is_plus, cookie_of);
}

int libwebsock_each_header(const libwebsock_request *request,
                           int (*f)(void *arg, const char *name, const char *value), void *arg)
{
    if (!request || !f)
        return checked([] { return EINVAL; });
    return request_of(request).each_header(
        [&](const char *name, const char *value) { return f(arg, name, value); });
}

} // extern "C"
