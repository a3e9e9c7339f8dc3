// onrequest.cpp, for libwebsock_onrequest(3): what a request says, and what is answered.
#include "api/checked.h"
#include "connection/connection.h"

#include <string_view>
#include <websock/websock.h>

using namespace websock;

extern "C" {

const char *libwebsock_request_header(const libwebsock_request *request, const char *name)
{
    const char *value = nullptr;
    (void)checked([&] {
        if (!request || !name)
            return EINVAL;
        value = static_cast<const Request *>(request->priv)->header(name);
        return value ? 0 : ENOENT;
    });
    return value;
}

int libwebsock_accept_protocol(libwebsock_client_state *client, const char *name)
{
    return checked([&] {
        if (!client || !name)
            return EINVAL;
        Connection &connection = *Connection::of(client);
        return connection.hook().accept_protocol(connection.request(), name);
    });
}

int libwebsock_add_response_header(libwebsock_client_state *client, const char *name,
                                   const char *value)
{
    return checked([&] {
        return client && name && value ? Connection::of(client)->hook().add_header(name, value)
                                       : EINVAL;
    });
}

int libwebsock_refuse_compression(libwebsock_client_state *client)
{
    return checked(
        [&] { return client ? Connection::of(client)->hook().refuse_compression() : EINVAL; });
}

int libwebsock_respond(libwebsock_client_state *client, int status, const char *content_type,
                       const void *body, size_t len)
{
    return checked([&] {
        if (!client || !is_memory(body, len))
            return EINVAL;
        const std::string_view text(static_cast<const char *>(body), len);
        return Connection::of(client)->hook().respond(status, content_type ? content_type : "",
                                                      text);
    });
}

} // extern "C"
