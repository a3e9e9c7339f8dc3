// topics_backplane.cpp: topics whose logs a backplane keeps for several servers. What is published
// here goes to it and nowhere else; what it delivers enters the topic's log here. So all servers
// have the order of its log. See topics.h.
#include "topics/topics.h"

#include "base/clock.h"

#include <cerrno>
#include <memory>
#include <new>

namespace websock {

namespace {

constexpr int kTimeoutMs = 5000; // for a topic that is new here

libwebsock_topic_options public_options(const Topic::Options &options)
{
    return {.size = sizeof(libwebsock_topic_options),
            .history_messages = options.limits.messages,
            .history_bytes = options.limits.bytes,
            .history_ms = options.limits.age_ms,
            .when_behind =
                options.closes_who_is_behind ? LIBWEBSOCK_BEHIND_CLOSE : LIBWEBSOCK_BEHIND_SKIP};
}

const char *or_null(std::string_view text) { return text.empty() ? nullptr : text.data(); }

} // namespace

int Topics::use(const libwebsock_backplane &backplane)
{
    auto copy = std::make_unique<const libwebsock_backplane>(backplane);
    Lock lock(mutex_);
    if (closed_ || limits_ || !topics_.empty() || this->backplane())
        return EBUSY;
    owned_backplane_ = std::move(copy);
    backplane_.store(owned_backplane_.get(), std::memory_order_release);
    return 0;
}

Topics::~Topics()
{
    if (const libwebsock_backplane *const to = backplane(); to && to->free_data)
        to->free_data(to->data);
}

int Topics::start_backplane()
{
    const libwebsock_backplane *const to = backplane();
    const int error = to && to->start ? to->start(to->data, &engine_.context) : 0;
    backplane_runs_ = to && error == 0;
    return error;
}

void Topics::stop_backplane()
{
    if (!std::exchange(backplane_runs_, false))
        return;
    const libwebsock_backplane *const to = backplane();
    if (to->stop)
        to->stop(to->data);
}

// The id and the key are NUL-terminated, as they were given.
int Topics::publish_elsewhere(std::string_view name, const Message::Content &content)
{
    const std::string topic(name);
    const libwebsock_publication publication{.size = sizeof publication,
                                             .topic = topic.c_str(),
                                             .opcode = static_cast<unsigned>(content.opcode),
                                             .payload = content.payload.data(),
                                             .payload_len = content.payload.size(),
                                             .id = or_null(content.id),
                                             .key = or_null(content.key),
                                             .publisher = nullptr,
                                             .flags = content.uncompressed ? LIBWEBSOCK_UNCOMPRESSED
                                                                           : 0};
    libwebsock_topic_options options{};
    {
        Lock lock(mutex_);
        if (closed_)
            return ESHUTDOWN;
        options = public_options(options_for(name));
    }
    const libwebsock_backplane &to = *backplane();
    const int error = to.publish(to.data, &publication, &options, content.publisher);
    counts_.publications += error == 0 ? 1 : 0;
    return error;
}

int Topics::follow(const Topic &topic) const
{
    const libwebsock_backplane *const to = backplane();
    if (!to)
        return 0;
    const libwebsock_topic_options options = public_options(options_for(topic.name()));
    return to->follow(to->data, topic.name().c_str(), &options, topic.number());
}

// The topic's log here would not be complete any more.
void Topics::unfollow(Topic &topic)
{
    if (const libwebsock_backplane *const to = backplane()) {
        to->unfollow(to->data, topic.name().c_str());
        drop(topic);
    }
}

int Topics::enter_incomplete(std::string_view name, Ref<Topic> &topic, TimePoint &deadline)
{
    if (!backplane())
        return 0;
    deadline = in_ms(backplane()->timeout_ms > 0 ? backplane()->timeout_ms : kTimeoutMs);
    return enter(name, {}, topic);
}

bool Topics::catch_up(Topic &topic) const
{
    const libwebsock_backplane &of = *backplane();
    if (!of.catch_up)
        return false;
    topic.is_incomplete();
    return of.catch_up(of.data, topic.name().c_str(), topic.number()) == 0;
}

int Topics::deliver(std::string_view name, uint64_t number, const Topic::Kept &at,
                    const Message::Content *content, uint64_t &next)
{
    Ref<Message> message = content ? engine_.make_message(*content) : Ref<Message>();
    Ref<Topic> topic;
    size_t most_bytes = 0;
    {
        Lock lock(mutex_);
        const auto found = topics_.find(name);
        if (closed_ || found == topics_.end())
            return ENOENT;
        topic = found->second;
        if (number != 0 && topic->number() != number)
            return ENOENT;
        most_bytes = limits().bytes;
    }
    announcer_.wait_for_room();
    if (message && !make_room(*topic, message->cost(), most_bytes)) {
        engine_.log.write_limited("messages without room", LIBWEBSOCK_LOG_WARNING,
                                  "topic %s: no room for a message of %zu bytes in max_topic_bytes",
                                  topic->name().c_str(), message->payload().size());
        message = nullptr; // it is lost
    }
    Announcer::Entries told = message ? announcer_.prepare(topic, message) : Announcer::Entries();
    const auto entered = [&] { announcer_.add(told); };
    const Topic::Delivered delivered = topic->deliver(at, message, coarse_ms(), entered);
    if (delivered.gone)
        return ENOENT;
    next = delivered.next;
    counts_.replaced += delivered.replaced ? 1 : 0;
    return delivered.missing ? ERANGE : 0;
}

} // namespace websock
