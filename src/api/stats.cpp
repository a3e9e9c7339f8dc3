// stats.cpp, for libwebsock_stats(3): how a server is.
#include "api/checked.h"
#include "server/context.h"
#include "server/statistics.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_stats(libwebsock_context *ctx, libwebsock_statistics *out)
{
    return checked([&] {
        if (!ctx || !out || out->size < sizeof out->size)
            return EINVAL;
        if (Context::of(ctx)->in_forked_child())
            return EPERM;
        write_statistics(Context::of(ctx)->engine(), Context::of(ctx)->topics(), *out);
        return 0;
    });
}

} // extern "C"
