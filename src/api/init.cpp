// init.cpp, for libwebsock_init(3): a context's memory.
#include "api/checked.h"
#include "server/context.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

libwebsock_context *libwebsock_init(void *base, void *flags, size_t max_frame_payload)
{
    Context *context = nullptr;
    const auto make = [&] {
        if (base || flags)
            return EINVAL;
        context = new Context(max_frame_payload);
        return 0;
    };
    return checked(make) == 0 ? context->handle() : nullptr;
}

void libwebsock_free(libwebsock_context *ctx)
{
    (void)checked([&] {
        if (ctx && Context::of(ctx)->end())
            delete Context::of(ctx);
        return 0;
    });
}

} // extern "C"
