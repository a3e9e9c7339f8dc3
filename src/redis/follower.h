// follower.h: the subscriber connection of a server, and its thread: follows topics, receives what
// is live, and hands over all that comes, from here and from fetches. What becomes of one topic's
// messages is decided in followed_topic.h.
#pragma once

#include "base/lock.h"
#include "base/thread.h"
#include "redis/followed_topic.h"
#include "redis/health.h"
#include "redis/publisher.h"
#include "redis_connection/backoff.h"
#include "redis_connection/link.h"

#include <deque>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace websock::redis {

class Follower final : public FetchReceiver, private TopicHost
{
  public:
    // All must live as long as the follower.
    Follower(const Settings &settings, const Address &address, CommandQueue &commands,
             Counters &counters, Health &health, Log &log);

    // Starts the thread. 0, or an errno value.
    int start(libwebsock_context &context, uint64_t node, const StopSignal &stop);
    // The stop has been raised: the thread ends now. Nothing is handed over any more.
    void join();

    // Any thread; must not wait. Throws std::bad_alloc.
    void follow(std::string_view topic, uint64_t following, const Limits &limits) EXCLUDES(mutex_);
    void unfollow(std::string_view topic) noexcept EXCLUDES(mutex_);
    void catch_up(std::string_view topic, uint64_t following) EXCLUDES(mutex_);
    void answered(Fetch fetch, Reply reply) override EXCLUDES(mutex_);

  private:
    struct Follow {
        std::string topic;
        uint64_t following; // the context's number for it
        Limits limits;
    };
    struct Unfollow {
        std::string topic;
    };
    struct CatchUp {
        std::string topic;
        uint64_t following;
    };
    struct Answer {
        Fetch fetch;
        Reply reply;
    };
    using Order = std::variant<Follow, Unfollow, CatchUp, Answer>;
    // An answer to SUBSCRIBE or UNSUBSCRIBE that is still to come.
    struct Acknowledgement {
        std::string topic;
        uint64_t following; // 0: of UNSUBSCRIBE
    };

    static void entry(void *self);
    void add(Order order) EXCLUDES(mutex_);

    // The thread's.
    void run() noexcept;
    void turn();
    void take_orders() EXCLUDES(mutex_);
    void obey(Follow &order);
    void obey(Unfollow &order);
    void obey(CatchUp &order);
    void obey(Answer &order);
    void connect();
    void lose();
    void subscribe(const FollowedTopic &topic);
    void unsubscribe(const std::string &topic);
    void drop(const std::string &topic);
    void receive_all();
    void receive(const redisReply &reply);
    void acknowledged();
    void live(const redisReply &reply);
    FollowedTopic *find(std::string_view channel);
    void tick_topics();
    void keep_alive();
    void wait();

    int deliver(const libwebsock_delivery &delivery, unsigned long long &next) override;
    void fetch(Fetch fetch) override;
    void ignore(const std::string &topic) override;
    Counters &counters() override { return counters_; }

    const Settings &settings_;
    CommandQueue &commands_;
    Counters &counters_;
    Health &health_;
    Log &log_;
    const std::string &server_; // its name, for the log
    const std::string channels_;
    Thread thread_;
    bool started_ = false;
    libwebsock_context *context_ = nullptr;
    const StopSignal *stop_ = nullptr;
    Wakeup wakeup_;

    Mutex mutex_;
    std::deque<Order> orders_ GUARDED_BY(mutex_);
    std::atomic<bool> has_orders_{false}; // written under mutex_

    // From here on, the thread's alone once it has started.
    Link link_;
    Backoff backoff_;
    TimePoint next_attempt_{};
    std::deque<Order> taken_;  // from orders_
    bool has_backlog_ = false; // received, and not looked at yet
    std::unordered_map<std::string, FollowedTopic> topics_;
    std::deque<Acknowledgement> acknowledgements_;
    std::string name_; // for look-ups
    TimePoint heard_{};
    TimePoint pinged_ = kNever; // kNever: no Pong is due
    TimePoint next_tick_{};
    Log::Minutely said_ignored_;
};

} // namespace websock::redis
