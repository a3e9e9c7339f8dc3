// bind_ssl.cpp, for libwebsock_bind_ssl(3): listening with TLS, and new certificates.
#include "api/checked.h"
#include "server/context.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_bind_ssl(libwebsock_context *ctx, const char *host, const char *port,
                        const char *keyfile, const char *certfile)
{
    return libwebsock_bind_ssl_real(ctx, host, port, keyfile, certfile, nullptr);
}

int libwebsock_bind_ssl_real(libwebsock_context *ctx, const char *host, const char *port,
                             const char *keyfile, const char *certfile, const char *chainfile)
{
    libwebsock_tls_options options{};
    options.size = sizeof options;
    options.keyfile = keyfile;
    options.certfile = certfile;
    options.chainfile = chainfile;
    return libwebsock_bind_tls(ctx, host, port, &options);
}

int libwebsock_reload_ssl(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->reload_tls() : EINVAL; });
}

} // extern "C"
