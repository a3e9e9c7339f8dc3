// memory_backplane.cpp: see memory_backplane.h.
#include "tests/support/memory_backplane.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace test {

namespace {

const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

} // namespace

int MemoryBackplane::serve(libwebsock_context *context)
{
    nodes_.push_back(std::unique_ptr<Node>(new Node{.of = *this}));
    libwebsock_backplane table{};
    table.size = sizeof table;
    table.data = nodes_.back().get();
    table.start = [](void *data, libwebsock_context *ctx) {
        auto &node = *static_cast<Node *>(data);
        node.context = ctx;
        node.thread = std::thread([&node] { node.of.run(node); });
        return 0;
    };
    table.stop = [](void *data) {
        auto &node = *static_cast<Node *>(data);
        {
            const std::lock_guard lock(node.of.mutex_);
            node.stops = true;
        }
        node.of.news_.notify_all();
        node.thread.join();
    };
    table.publish = [](void *data, const libwebsock_publication *what,
                       const libwebsock_topic_options *options, unsigned long long publisher) {
        return of(data).publish(*static_cast<Node *>(data), *what, *options, publisher);
    };
    table.follow = [](void *data, const char *topic, const libwebsock_topic_options *options,
                      unsigned long long following) {
        auto &node = *static_cast<Node *>(data);
        const std::lock_guard lock(node.of.mutex_);
        node.followed[topic] = {.following = following, .history = options->history_messages};
        node.news.insert(topic);
        node.of.news_.notify_all();
        return 0;
    };
    table.unfollow = [](void *data, const char *topic) {
        const std::lock_guard lock(of(data).mutex_);
        static_cast<Node *>(data)->followed.erase(topic);
    };
    table.catch_up = [](void *data, const char *topic, unsigned long long following) {
        auto &node = *static_cast<Node *>(data);
        const std::lock_guard lock(node.of.mutex_);
        const auto place = node.followed.find(topic);
        if (place == node.followed.end() || place->second.following != following)
            return ENOENT;
        place->second.wants_end = true;
        ++node.of.catching_up_;
        node.news.insert(topic);
        node.of.news_.notify_all();
        return 0;
    };
    return libwebsock_use_backplane(context, &table);
}

int MemoryBackplane::catching_up()
{
    const std::lock_guard lock(mutex_);
    return catching_up_;
}

int MemoryBackplane::publish(Node &node, const libwebsock_publication &what,
                             const libwebsock_topic_options &options, unsigned long long publisher)
{
    const std::lock_guard lock(mutex_);
    Log &to = log(what.topic);
    const std::string key = what.key ? what.key : "";
    if (!key.empty())
        std::erase_if(to.entries, [&](const Entry &entry) { return entry.key == key; });
    to.entries.push_back({.offset = ++to.end,
                          .opcode = what.opcode,
                          .payload = {static_cast<const char *>(what.payload), what.payload_len},
                          .id = what.id ? what.id : "",
                          .key = key,
                          .node = &node,
                          .publisher = publisher});
    while (to.entries.size() > options.history_messages) {
        to.trimmed = to.entries.front().offset;
        to.entries.pop_front();
    }
    for (const auto &each : nodes_)
        each->news.insert(what.topic);
    news_.notify_all();
    return 0;
}

void MemoryBackplane::run(Node &node)
{
    std::unique_lock lock(mutex_);
    for (;;) {
        news_.wait(lock, [&] { return node.stops || (!held_back_ && !node.news.empty()); });
        if (node.stops)
            return;
        const std::string topic = node.news.extract(node.news.begin()).value();
        catch_up(node, topic, lock);
    }
}

// Delivers what comes next, without the lock, until there is nothing more.
void MemoryBackplane::catch_up(Node &node, const std::string &topic,
                               std::unique_lock<std::mutex> &lock)
{
    for (;;) {
        const auto place = node.followed.find(topic);
        if (place == node.followed.end() || held_back_)
            return;
        const Log &from = log(topic);
        const size_t count = from.entries.size();
        const bool fresh = place->second.epoch == 0;
        if (!fresh && place->second.epoch != from.epoch)
            place->second.next = 1;
        if (fresh)
            place->second.next = count > place->second.history
                                     ? from.entries[count - place->second.history].offset
                                     : std::max<uint64_t>(from.trimmed + 1, 1);
        const bool is_over = place->second.next > from.end && place->second.epoch == from.epoch;
        if (is_over && !std::exchange(place->second.wants_end, false))
            return;
        place->second.epoch = from.epoch;
        const auto next =
            std::find_if(from.entries.begin(), from.entries.end(),
                         [&](const Entry &entry) { return entry.offset >= place->second.next; });
        libwebsock_delivery delivery{};
        delivery.size = sizeof delivery;
        delivery.topic = topic.c_str();
        delivery.epoch = from.epoch;
        delivery.following = place->second.following;
        libwebsock_publication what{};
        Entry entry{};
        const bool is_lost = !fresh && place->second.next <= from.trimmed;
        if (is_lost || next == from.entries.end()) {
            delivery.offset = is_lost ? from.trimmed : from.end;
        } else {
            entry = *next;
            what.size = sizeof what;
            what.topic = delivery.topic;
            what.opcode = entry.opcode;
            what.payload = entry.payload.data();
            what.payload_len = entry.payload.size();
            what.id = or_null(entry.id);
            what.key = or_null(entry.key);
            delivery.publication = &what;
            delivery.offset = entry.offset;
            delivery.follows = place->second.next - 1; // between were those that were replaced
            delivery.publisher = entry.node == &node ? entry.publisher : 0;
        }
        place->second.next = delivery.offset + 1;
        const bool ends = delivery.offset == from.end;
        lock.unlock();
        (void)libwebsock_deliver(node.context, &delivery, nullptr);
        if (ends && delivery.publication) {
            delivery.publication = nullptr;
            (void)libwebsock_deliver(node.context, &delivery, nullptr);
        }
        lock.lock();
    }
}

MemoryBackplane::Log &MemoryBackplane::log(const std::string &topic)
{
    const auto found = logs_.find(topic);
    return found != logs_.end() ? found->second
                                : logs_.emplace(topic, Log{.epoch = ++last_epoch_}).first->second;
}

void MemoryBackplane::lose_logs()
{
    const std::lock_guard lock(mutex_);
    for (auto &[name, log] : logs_)
        log = {.epoch = ++last_epoch_};
}

void MemoryBackplane::hold_back(bool yes)
{
    const std::lock_guard lock(mutex_);
    held_back_ = yes;
    news_.notify_all();
}

} // namespace test
