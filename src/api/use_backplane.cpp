// use_backplane.cpp, for libwebsock_use_backplane(3): topics that several servers share.
#include "api/checked.h"
#include "api/publication.h"
#include "api/sized.h"
#include "server/context.h"

#include <string_view>
#include <websock/websock.h>

using namespace websock;

namespace {

int use_backplane(libwebsock_context *ctx, const libwebsock_backplane *given)
{
    libwebsock_backplane what{};
    if (!ctx || !given || !copy_sized(given, sizeof what, what) || !what.publish || !what.follow ||
        !what.unfollow)
        return EINVAL;
    if (Context::of(ctx)->in_forked_child())
        return EPERM;
    return Context::of(ctx)->topics().use(what);
}

int deliver(libwebsock_context *ctx, const libwebsock_delivery *given, unsigned long long *next)
{
    libwebsock_delivery what{};
    if (!ctx || !given || !copy_sized(given, sizeof what, what) || !what.topic || what.epoch == 0 ||
        (what.publication && what.offset == 0) ||
        (what.follows != 0 && what.follows >= what.offset))
        return EINVAL;
    Message::Content content{};
    if (what.publication) {
        std::string_view topic;
        if (const int error = read_publication(what.publication, topic, content); error != 0)
            return error;
        content.publisher = what.publisher;
    }
    const uint64_t before = what.offset > 0 ? what.offset - 1 : 0;
    const Topic::Kept at{.epoch = what.epoch,
                         .follows = what.follows != 0 ? what.follows : before,
                         .offset = what.offset,
                         .ends = !what.publication};
    uint64_t expected = 0;
    const int error = Context::of(ctx)->topics().deliver(
        what.topic, what.following, at, what.publication ? &content : nullptr, expected);
    if (next)
        *next = expected;
    return error;
}

} // namespace

extern "C" {

int libwebsock_use_backplane(libwebsock_context *ctx, const libwebsock_backplane *backplane)
{
    return checked([&] { return use_backplane(ctx, backplane); });
}

int libwebsock_deliver(libwebsock_context *ctx, const libwebsock_delivery *delivery,
                       unsigned long long *next)
{
    return checked([&] { return deliver(ctx, delivery, next); });
}

int libwebsock_log(libwebsock_context *ctx, int level, const char *text)
{
    return checked([&] {
        if (!ctx || !text || level < LIBWEBSOCK_LOG_ERROR || level > LIBWEBSOCK_LOG_DEBUG)
            return EINVAL;
        Context::of(ctx)->engine().log.write(level, "%s", text);
        return 0;
    });
}

} // extern "C"
