// subscriber.h: what one client has subscribed to, and the messages of it that are next. Slices
// say which topics have some; the thread whose turn it is to write to the client takes them, some
// of each topic in turn. For a client that does not read nothing is kept but its cursors.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "connection/connection.h"
#include "outbox/outbox.h"
#include "topics/subscription.h"
#include "topics/topic.h"
#include "topics/topic_counts.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace websock {

class Topics;

class Subscriber final : public Source
{
  public:
    Subscriber(Connection &client, Topics &topics) : client_(client), topics_(topics) {}

    struct Wish {
        Topic::Start start;
        bool no_echo = false;
    };
    // The client's, which is made when it is first asked for, by make, and stays as long as the
    // connection. nullptr: that is not open. Throws std::bad_alloc.
    template<class Make> static Subscriber *of(Connection &client, const Make &make)
    {
        return static_cast<Subscriber *>(client.outbox().source(make));
    }
    // nullptr: it has not subscribed to anything yet.
    static Subscriber *of(Connection &client);

    // 0, or an errno value: EEXIST, ENOBUFS, ENOENT, ENOTCONN. Throws std::bad_alloc. Either it is
    // done or nothing is. With a backplane it may wait for the topic's log; EAGAIN: in vain.
    int subscribe(std::string_view topic, const Wish &wish) EXCLUDES(mutex_);
    // After this nothing of the topic is sent any more, but for the rest of a message that has
    // begun to leave. False: it was not subscribed to.
    bool unsubscribe(std::string_view topic) EXCLUDES(mutex_);
    void unsubscribe_all() EXCLUDES(mutex_);

    // Has the processor fetch what a delivery to the client needs, all at once and not line by
    // line.
    void prefetch() const
    {
        for (size_t at = 0; at < sizeof *this; at += 64)
            __builtin_prefetch(reinterpret_cast<const char *>(this) + at, 1);
        Runnable::prefetch(&client_);
    }

    // There may be something to read in it. Whether the client is to be written to.
    bool make_ready(Subscription &subscription) EXCLUDES(mutex_);

    void collect(Items &out) noexcept override EXCLUDES(mutex_);
    bool took(std::span<const Item> items) noexcept override EXCLUDES(mutex_);
    void end() noexcept override EXCLUDES(mutex_);
    // Among the client's events.
    void tell() override EXCLUDES(mutex_);

  private:
    struct Behind {
        uint64_t missed = 0;
        Ref<Topic> closes; // the topic that has the client closed
    };
    bool may_subscribe() const REQUIRES(mutex_);
    int hold(std::string_view name, Ref<Topic> &topic, TimePoint &deadline) EXCLUDES(mutex_);
    void let_go(const Ref<Topic> &held) EXCLUDES(mutex_);
    int enter_when_complete(std::string_view name, const Wish &wish, const Ref<Topic> &held,
                            TimePoint deadline) EXCLUDES(mutex_);
    int enter(std::string_view name, const Wish &wish) REQUIRES(mutex_);
    int begin_or_leave(const Ref<Topic> &topic, const Wish &wish) REQUIRES(mutex_);
    int begin(const Ref<Topic> &topic, const Wish &wish) REQUIRES(mutex_);
    size_t read(Subscription &subscription, size_t most, Items &out, Behind &behind)
        REQUIRES(mutex_);
    void settle(Subscription &subscription) REQUIRES(mutex_);
    void take_out(Subscription &subscription) REQUIRES(mutex_);
    void take_all_out() REQUIRES(mutex_);
    void wait_until_written() REQUIRES(mutex_);
    Ref<Subscription> take_missed(uint64_t &missed) REQUIRES(mutex_);

    Connection &client_;
    Topics &topics_; // used under mutex_, and not once ended: it may be gone then

    Mutex mutex_;
    Cond written_;                            // collecting_ has become false
    unsigned waiters_ GUARDED_BY(mutex_) = 0; // threads that wait for that
    // By the names in the topics, which each subscription holds a reference to.
    std::unordered_map<std::string_view, Ref<Subscription>> subscriptions_ GUARDED_BY(mutex_);
    // Entered by calls of subscribe() that wait; no longer than until the connection ends.
    std::vector<Ref<Topic>> held_ GUARDED_BY(mutex_);
    LinkedList<Subscription> ready_ GUARDED_BY(mutex_); // those that may have messages
    size_t visited_ GUARDED_BY(mutex_) = 0;             // of them, by the last collect()
    bool collecting_ GUARDED_BY(mutex_) = false;        // between collect() and took()
    bool tells_ GUARDED_BY(mutex_) = false;             // tell() is among the events
    bool ended_ GUARDED_BY(mutex_) = false;
};

} // namespace websock
