// topics.cpp: see topics.h.
#include "topics/topics.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "connection/connection.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace websock {

namespace {

constexpr size_t kTopicCost = sizeof(Topic) + 128; // of memory, without messages

std::span<const uint8_t> bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

} // namespace

bool Topics::is_name(std::string_view name)
{
    return !name.empty() && name.size() <= kMaxName && is_valid_utf8(bytes_of(name));
}

void Topics::attach()
{
    {
        Lock lock(mutex_);
        limits_ = limits_in(engine_.settings);
    }
    announcer_.attach();
}

Topics::Limits Topics::limits_in(const libwebsock_context &settings)
{
    return {.topics = settings.max_topics,
            .subscriptions = settings.max_subscriptions_per_client,
            .bytes = settings.max_topic_bytes};
}

// Before a server runs, its settings are still the user's to change.
Topics::Limits Topics::limits() const { return limits_ ? *limits_ : limits_in(engine_.context); }

int Topics::configure(std::string_view prefix, const Topic::Options &options)
{
    Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    const auto same = [&](const auto &entry) { return entry.first == prefix; };
    const auto found = std::find_if(options_.begin(), options_.end(), same);
    if (found != options_.end())
        found->second = options;
    else
        options_.emplace_back(prefix, options);
    for (const auto &[name, topic] : topics_)
        topic->configure(options_for(name));
    return 0;
}

// Those of the longest prefix of the name.
Topic::Options Topics::options_for(std::string_view name) const
{
    Topic::Options options;
    size_t longest = 0;
    for (const auto &[prefix, of_prefix] : options_) {
        if (name.starts_with(prefix) && prefix.size() >= longest) {
            longest = prefix.size();
            options = of_prefix;
        }
    }
    return options;
}

// 0 or ENOBUFS. Throws std::bad_alloc. A new one is in unsubscribed_.
int Topics::find_or_make(std::string_view name, Ref<Topic> &topic)
{
    const auto found = topics_.find(name);
    if (found != topics_.end()) {
        topic = found->second;
        return 0;
    }
    if (topics_.size() >= limits().topics && !drop_oldest())
        return ENOBUFS;
    topic = Topic::make(name, next_epoch(), options_for(name), engine_.dispatcher, bytes_);
    topics_.emplace(topic->name(), topic);
    unsubscribed_.push_back(*topic);
    bytes_ += kTopicCost;
    return 0;
}

// No two topics of a name have the same one, if the clock is not set back over a restart.
uint64_t Topics::next_epoch()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    last_epoch_ = std::max(last_epoch_ + 1, static_cast<uint64_t>(us));
    return last_epoch_;
}

bool Topics::drop_oldest()
{
    Topic *const oldest = unsubscribed_.front();
    if (oldest)
        drop(*oldest);
    return oldest != nullptr;
}

// A topic without subscriptions.
void Topics::drop(Topic &topic)
{
    const Ref<Topic> last = topics_.find(topic.name())->second;
    topics_.erase(topic.name());
    unsubscribed_.erase(topic);
    topic.drop();
    bytes_ -= kTopicCost;
}

// A few of those that have come to their end, so that each call pays for about one.
void Topics::drop_ended(int64_t now_ms)
{
    for (int i = 0; i < 2 && unsubscribed_.front(); ++i) {
        Topic &first = *unsubscribed_.front();
        first.expire(now_ms);
        if (!first.is_empty())
            return;
        drop(first);
    }
}

int Topics::enter(std::string_view name, const Entry &entry, Ref<Topic> &topic)
{
    Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    if (entry.subscriptions >= limits().subscriptions)
        return ENOBUFS;
    if (entry.must_exist && !topics_.contains(name))
        return ENOENT;
    if (const int error = find_or_make(name, topic); error != 0)
        return error;
    if (topic->subscriptions++ == 0) {
        unsubscribed_.erase(*topic);
        if (const int error = follow(*topic); error != 0) {
            topic->subscriptions = 0;
            unsubscribed_.push_back(*topic);
            drop(*topic);
            return error;
        }
    }
    return 0;
}

void Topics::leave(Topic &topic)
{
    Lock lock(mutex_);
    if (--topic.subscriptions > 0)
        return;
    unsubscribed_.push_back(topic);
    if (backplane())
        unfollow(topic);
    else if (topic.is_empty())
        drop(topic);
}

int Topics::publish(std::string_view name, const Message::Content &content)
{
    if (backplane())
        return publish_elsewhere(name, content);
    const Ref<Message> message = engine_.make_message(content);
    if (announcer_.is_full())
        return ENOBUFS;
    const int64_t now_ms = coarse_ms();
    for (;;) {
        Ref<Topic> topic;
        size_t most_bytes = 0;
        {
            Lock lock(mutex_);
            if (closed_)
                return ESHUTDOWN;
            drop_ended(now_ms);
            if (const int error = find_or_make(name, topic); error != 0)
                return error;
            if (topic->subscriptions == 0) {
                unsubscribed_.erase(*topic);
                unsubscribed_.push_back(*topic);
            }
            most_bytes = limits().bytes;
        }
        if (!make_room(*topic, message->cost(), most_bytes))
            return ENOBUFS;
        Announcer::Entries told = announcer_.prepare(topic, message);
        const auto entered = [&] { announcer_.add(told); };
        const Topic::Published published = topic->publish(message, now_ms, entered);
        if (published.gone)
            continue; // to a new one of that name
        ++counts_.publications;
        counts_.replaced += published.replaced ? 1 : 0;
        return 0;
    }
}

// At the expense of topics that nobody has subscribed to, or else of what this one has. Whether
// there is room.
bool Topics::make_room(Topic &topic, size_t bytes, size_t most_bytes)
{
    if (bytes > most_bytes)
        return false; // and nothing is to go for it
    const auto fits = [&] { return bytes_ + bytes <= most_bytes; };
    while (!fits()) {
        Lock lock(mutex_);
        if (fits()) // others have made room meanwhile
            break;
        Topic *oldest = unsubscribed_.front();
        if (oldest == &topic) // when others were published to meanwhile
            oldest = topic.next;
        if (oldest) {
            drop(*oldest);
            continue;
        }
        if (!topic.evict_oldest())
            return false;
    }
    return true;
}

size_t Topics::subscribers(std::string_view name)
{
    Lock lock(mutex_);
    const auto found = topics_.find(name);
    return found == topics_.end() ? 0 : found->second->subscriptions;
}

int Topics::figures(std::string_view name, Topic::Figures &out)
{
    Ref<Topic> topic;
    {
        Lock lock(mutex_);
        const auto found = topics_.find(name);
        if (found == topics_.end())
            return ENOENT;
        topic = found->second;
    }
    out = topic->figures();
    return 0;
}

Topics::Totals Topics::totals()
{
    Lock lock(mutex_);
    return {.topics = topics_.size(), .bytes = bytes_};
}

void Topics::note_closed_behind(const Connection &client, const Topic &topic, uint64_t missed)
{
    ++counts_.closed_behind;
    engine_.log.write_limited("subscribers that were too far behind", LIBWEBSOCK_LOG_INFO,
                              "%s: closed with 1013: %llu messages of topic %s had left the log",
                              client.name(), static_cast<unsigned long long>(missed),
                              topic.name().c_str());
}

void Topics::close()
{
    Lock lock(mutex_);
    closed_ = true;
    for (const auto &[name, topic] : topics_)
        topic->stop_waiting();
    announcer_.stop_waiting();
}

} // namespace websock
