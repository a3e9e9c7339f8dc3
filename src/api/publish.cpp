// publish.cpp, for libwebsock_publish(3): messages for all who have subscribed to a topic, and what
// topics keep.
#include "api/checked.h"
#include "api/publication.h"
#include "api/sized.h"
#include "server/context.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <websock/websock.h>

using namespace websock;

namespace {

int publish(libwebsock_context *ctx, const libwebsock_publication *given)
{
    std::string_view topic;
    Message::Content content{};
    if (!ctx)
        return EINVAL;
    if (const int error = read_publication(given, topic, content); error != 0)
        return error;
    return Context::of(ctx)->publish(topic, content);
}

int publish(libwebsock_context *ctx, const char *topic, unsigned opcode, const void *data,
            size_t len)
{
    libwebsock_publication what{};
    what.size = sizeof what;
    what.topic = topic;
    what.opcode = opcode;
    what.payload = data;
    what.payload_len = len;
    return publish(ctx, &what);
}

int configure(libwebsock_context *ctx, const char *prefix, const libwebsock_topic_options *given)
{
    libwebsock_topic_options what{};
    if (!ctx || !prefix || !given || !copy_sized(given, sizeof what, what) ||
        std::strlen(prefix) > Topics::kMaxName || what.history_ms < 0 ||
        (what.when_behind != LIBWEBSOCK_BEHIND_CLOSE && what.when_behind != LIBWEBSOCK_BEHIND_SKIP))
        return EINVAL;
    Topic::Options options;
    if (what.history_messages > 0)
        options.limits.messages = what.history_messages;
    if (what.history_bytes > 0)
        options.limits.bytes = what.history_bytes;
    options.limits.age_ms = what.history_ms;
    options.closes_who_is_behind = what.when_behind == LIBWEBSOCK_BEHIND_CLOSE;
    return Context::of(ctx)->configure_topics(prefix, options);
}

int topic_stats(libwebsock_context *ctx, const char *topic, libwebsock_topic_statistics *out)
{
    if (!ctx || !topic || !out || out->size < sizeof out->size)
        return EINVAL;
    if (Context::of(ctx)->in_forked_child())
        return EPERM;
    Topic::Figures figures;
    if (const int error = Context::of(ctx)->topics().figures(topic, figures); error != 0)
        return error;
    const libwebsock_topic_statistics all{.size = out->size,
                                          .epoch = figures.epoch,
                                          .offset = figures.offset,
                                          .messages = figures.messages,
                                          .bytes = figures.bytes,
                                          .subscribers = figures.subscribers,
                                          .furthest_behind = figures.furthest_behind};
    std::memcpy(out, &all, std::min(out->size, sizeof all));
    return 0;
}

} // namespace

extern "C" {

int libwebsock_configure_topics(libwebsock_context *ctx, const char *prefix,
                                const libwebsock_topic_options *options)
{
    return checked([&] { return configure(ctx, prefix, options); });
}

int libwebsock_publish(libwebsock_context *ctx, const libwebsock_publication *publication)
{
    return checked([&] { return publish(ctx, publication); });
}

int libwebsock_publish_text(libwebsock_context *ctx, const char *topic, const char *text)
{
    return checked([&] {
        return text ? publish(ctx, topic, WS_OPCODE_TEXT, text, std::strlen(text)) : EINVAL;
    });
}

int libwebsock_publish_binary(libwebsock_context *ctx, const char *topic, const void *data,
                              size_t len)
{
    return checked([&] { return publish(ctx, topic, WS_OPCODE_BINARY, data, len); });
}

size_t libwebsock_topic_subscribers(libwebsock_context *ctx, const char *topic)
{
    if (!ctx || !topic || Context::of(ctx)->in_forked_child())
        return 0;
    return Context::of(ctx)->topics().subscribers(topic);
}

int libwebsock_topic_stats(libwebsock_context *ctx, const char *topic,
                           libwebsock_topic_statistics *out)
{
    return checked([&] { return topic_stats(ctx, topic, out); });
}

} // extern "C"
