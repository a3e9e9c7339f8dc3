// wait.cpp, for libwebsock_wait(3): serving, until it is stopped.
#include "api/checked.h"
#include "server/context.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_wait(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->wait() : EINVAL; });
}

int libwebsock_stop(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->stop() : EINVAL; });
}

} // extern "C"
