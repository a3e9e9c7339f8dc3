// bind.cpp, for libwebsock_bind(3): what a server listens on, without TLS, and which port that is.
#include "api/checked.h"
#include "server/context.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_bind(libwebsock_context *ctx, const char *host, const char *port)
{
    return checked([&] { return ctx && port ? Context::of(ctx)->bind(host, port) : EINVAL; });
}

int libwebsock_bind_socket(libwebsock_context *ctx, int fd)
{
    return checked([&] { return ctx ? Context::of(ctx)->bind_socket(fd) : EINVAL; });
}

int libwebsock_port(const libwebsock_context *ctx)
{
    int port = -1;
    const auto ask = [&] {
        if (!ctx)
            return EINVAL;
        if (Context::of(ctx)->in_forked_child())
            return EPERM;
        port = Context::of(ctx)->port();
        return port < 0 ? ENOTCONN : 0;
    };
    return checked(ask) == 0 ? port : -1;
}

} // extern "C"
