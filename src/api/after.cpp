// after.cpp, for libwebsock_after(3): timers.
#include "api/checked.h"
#include "connection/connection.h"
#include "server/context.h"
#include "timers/call.h"

#include <websock/websock.h>

using namespace websock;

namespace {

int start_timer(libwebsock_context *ctx, libwebsock_client_state *client, int first_ms,
                int every_ms, ProgramFunction &function, uint64_t &number)
{
    if (Context::of(ctx)->in_forked_child())
        return EPERM;
    if (!client)
        return Context::of(ctx)->engine().timers.add({nullptr, first_ms, every_ms}, function,
                                                     number);
    Connection &connection = *Connection::of(client);
    return connection.start_timer(first_ms, every_ms, function, number);
}

} // namespace

extern "C" {

unsigned long long libwebsock_start_timer(libwebsock_context *ctx, libwebsock_client_state *client,
                                          int first_ms, int every_ms, ProgramFunction::Function fn,
                                          void *arg, ProgramFunction::FreeArg free_arg)
{
    uint64_t number = 0;
    (void)checked([&] {
        if (!ctx || !fn || first_ms < 0 || every_ms < 0 || (client && client->ctx != ctx))
            return EINVAL;
        ProgramFunction function(fn, arg, free_arg);
        const int error = start_timer(ctx, client, first_ms, every_ms, function, number);
        if (error != 0)
            function.disown();
        return error;
    });
    return number;
}

unsigned long long libwebsock_after(libwebsock_context *ctx, libwebsock_client_state *client,
                                    int ms, ProgramFunction::Function fn, void *arg)
{
    return libwebsock_start_timer(ctx, client, ms, 0, fn, arg, nullptr);
}

unsigned long long libwebsock_every(libwebsock_context *ctx, libwebsock_client_state *client,
                                    int ms, ProgramFunction::Function fn, void *arg)
{
    return libwebsock_start_timer(ctx, client, ms, ms == 0 ? -1 : ms, fn, arg, nullptr);
}

int libwebsock_cancel(libwebsock_context *ctx, unsigned long long timer)
{
    return checked([&] {
        if (!ctx)
            return EINVAL;
        if (Context::of(ctx)->in_forked_child())
            return EPERM;
        return Context::of(ctx)->engine().timers.cancel(timer);
    });
}

} // extern "C"
