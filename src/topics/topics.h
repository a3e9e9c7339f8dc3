// topics.h: all topics of a server, by name: what they keep, who publishes to them, and how many
// there may be. A topic is there while it has subscribers, or messages that are not too old.
//
// Topics without subscribers stand in a list, the one that was published to longest ago first:
// that is the first to go when there is no room.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/ref.h"
#include "connection/engine.h"
#include "topics/announcer.h"
#include "topics/topic.h"
#include "topics/topic_counts.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
#include <websock/websock.h>

namespace websock {

class Topics
{
  public:
    explicit Topics(Engine &engine) : engine_(engine), announcer_(engine) {}
    ~Topics();
    Topics(const Topics &) = delete;
    Topics &operator=(const Topics &) = delete;

    static constexpr size_t kMaxName = 255; // bytes of UTF-8, at least 1

    // These return 0 or an errno value, as the public functions document them, and throw
    // std::bad_alloc with nothing done. Names are well-formed (see is_name).
    static bool is_name(std::string_view name);
    int configure(std::string_view prefix, const Topic::Options &options) EXCLUDES(mutex_);
    int publish(std::string_view name, const Message::Content &content) EXCLUDES(mutex_);

    size_t subscribers(std::string_view name) EXCLUDES(mutex_);
    // ENOENT: there is no such topic.
    int figures(std::string_view name, Topic::Figures &out) EXCLUDES(mutex_);

    // From now on the logs are kept by a backplane, which stays: the topics here are copies of
    // those that have subscribers here. EBUSY: it has one. Throws std::bad_alloc.
    int use(const libwebsock_backplane &backplane) EXCLUDES(mutex_);
    // By the thread that starts or ends the server.
    int start_backplane();
    void stop_backplane();
    // With a backplane, enters a topic as enter() does, for a subscription that is to wait until
    // the topic is complete, or the deadline. Without one, does nothing.
    int enter_incomplete(std::string_view name, Ref<Topic> &topic, TimePoint &deadline)
        EXCLUDES(mutex_);
    // Has the backplane hand over what the log has by now. Whether it is worth to wait for that.
    bool catch_up(Topic &topic) const;
    // What the backplane delivers: see Topic::deliver(). 0, ENOENT, or ERANGE: some are missing.
    // Waits while onpublished is far behind.
    // number: the topic's, or 0.
    int deliver(std::string_view name, uint64_t number, const Topic::Kept &at,
                const Message::Content *content, uint64_t &next) EXCLUDES(mutex_);

    struct Totals {
        size_t topics = 0;
        size_t bytes = 0;
    };
    Totals totals() EXCLUDES(mutex_);
    TopicCounts &counts() { return counts_; }
    void note_closed_behind(const Connection &client, const Topic &topic, uint64_t missed);

    // The settings are fixed; from here to detach(), onpublished is called. Nothing is published
    // any more after close().
    void attach() EXCLUDES(mutex_);
    void close() EXCLUDES(mutex_);
    bool drop_untold() { return announcer_.drop_untold(); } // of onpublished
    void detach() { announcer_.detach(); }

    // A subscription to the topic of that name begins, and ends. The topic is made for it if need
    // be, maybe at the expense of another one; so what may be wrong is looked at before that.
    struct Entry {
        size_t subscriptions = 0; // that the client has already
        bool must_exist = false;  // ENOENT if the topic does not
    };
    int enter(std::string_view name, const Entry &entry, Ref<Topic> &topic) EXCLUDES(mutex_);
    void leave(Topic &topic) EXCLUDES(mutex_);

  private:
    struct Limits {
        size_t topics;
        size_t subscriptions; // of one client
        size_t bytes;
    };

    static Limits limits_in(const libwebsock_context &settings);
    Limits limits() const REQUIRES(mutex_);
    const libwebsock_backplane *backplane() const
    {
        return backplane_.load(std::memory_order_acquire);
    }
    int publish_elsewhere(std::string_view name, const Message::Content &content) EXCLUDES(mutex_);
    int follow(const Topic &topic) const REQUIRES(mutex_);
    void unfollow(Topic &topic) REQUIRES(mutex_);
    int find_or_make(std::string_view name, Ref<Topic> &topic) REQUIRES(mutex_);
    Topic::Options options_for(std::string_view name) const REQUIRES(mutex_);
    uint64_t next_epoch() REQUIRES(mutex_);
    bool drop_oldest() REQUIRES(mutex_);
    void drop(Topic &topic) REQUIRES(mutex_);
    void drop_ended(int64_t now_ms) REQUIRES(mutex_);
    bool make_room(Topic &topic, size_t bytes, size_t most_bytes) EXCLUDES(mutex_);

    Engine &engine_;
    TopicCounts counts_;
    Announcer announcer_;
    std::atomic<size_t> bytes_{0}; // of all topics

    Mutex mutex_;
    std::optional<Limits> limits_ GUARDED_BY(mutex_); // once they are fixed
    // By the names in the topics.
    std::unordered_map<std::string_view, Ref<Topic>> topics_ GUARDED_BY(mutex_);
    LinkedList<Topic> unsubscribed_ GUARDED_BY(mutex_);
    std::vector<std::pair<std::string, Topic::Options>> options_ GUARDED_BY(mutex_); // by prefix
    uint64_t last_epoch_ GUARDED_BY(mutex_) = 0;
    bool closed_ GUARDED_BY(mutex_) = false;
    std::unique_ptr<const libwebsock_backplane> owned_backplane_ GUARDED_BY(mutex_);
    std::atomic<const libwebsock_backplane *> backplane_{nullptr}; // the same; set once
    bool backplane_runs_ = false; // the thread's that starts or ends the server
};

} // namespace websock
