// post.cpp, for libwebsock_post(3): what is to run among a client's events.
#include "api/checked.h"
#include "connection/connection.h"
#include "timers/call.h"

#include <new>
#include <websock/websock.h>

using namespace websock;

namespace {

constexpr size_t kMostWaiting = 65536;

} // namespace

extern "C" {

int libwebsock_post_with(libwebsock_client_state *client, ProgramFunction::Function fn, void *arg,
                         ProgramFunction::FreeArg free_arg)
{
    return checked([&] {
        if (!client || !fn)
            return EINVAL;
        auto *const call = new (std::nothrow) PostedCall(ProgramFunction(fn, arg, free_arg));
        if (!call)
            return ENOMEM;
        const int error = Connection::of(client)->post(*call, kMostWaiting);
        if (error != 0) {
            call->disown();
            call->drop();
        }
        return error;
    });
}

int libwebsock_post(libwebsock_client_state *client, ProgramFunction::Function fn, void *arg)
{
    return libwebsock_post_with(client, fn, arg, nullptr);
}

} // extern "C"
