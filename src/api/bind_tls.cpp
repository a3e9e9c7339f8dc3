// bind_tls.cpp, for libwebsock_bind_tls(3): listening with TLS and any of its options.
#include "api/checked.h"
#include "server/context.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_bind_tls(libwebsock_context *ctx, const char *host, const char *port,
                        const libwebsock_tls_options *options)
{
    return checked([&] {
        return ctx && port && options ? Context::of(ctx)->bind_tls(host, port, *options) : EINVAL;
    });
}

} // extern "C"
