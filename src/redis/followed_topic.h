// followed_topic.h: one topic that has subscribers here: what has come of its log, and what is to
// be done with what comes next. It hands messages over without a gap, or says that there is one.
//
// Until a topic is settled, live messages are held back: while its log is read for the first time,
// and while a gap is filled. A fetch answers with all that came before it, so what is held starts
// anew with each.
//
// No thread, no socket and no lock: the follower's thread calls it.
#pragma once

#include "base/clock.h"
#include "redis/command_queue.h"
#include "redis/counters.h"
#include "redis_connection/packet.h"

#include <deque>
#include <hiredis/hiredis.h>
#include <string>
#include <string_view>
#include <utility>
#include <websock/websock.h>

namespace websock::redis {

// What a topic needs of its surroundings.
class TopicHost
{
  public:
    // As libwebsock_deliver, but returns an errno value.
    virtual int deliver(const libwebsock_delivery &delivery, unsigned long long &next) = 0;
    virtual void fetch(Fetch fetch) = 0; // throws std::bad_alloc
    // Something that no node has written.
    virtual void ignore(const std::string &topic) = 0;
    virtual Counters &counters() = 0;

    uint64_t node = 0;     // this process
    size_t held_bytes = 0; // by all topics

  protected:
    ~TopicHost() = default;
};

class FollowedTopic
{
  public:
    FollowedTopic(std::string name, uint64_t following, const Limits &limits)
        : name_(std::move(name)), following_(following), limits_(limits)
    {
    }

    const std::string &name() const { return name_; }
    uint64_t following() const { return following_; } // the context's number for it
    // The context does not want its messages any more.
    bool is_gone() const { return gone_; }

    // Live messages come from now on, or do not any more. These throw std::bad_alloc; then due()
    // says when it goes on.
    void subscribed(TopicHost &host);
    void disconnected(TopicHost &host);
    void live(TopicHost &host, std::string_view bytes);
    // What the log has by now is to be handed over, with an end.
    void catch_up(TopicHost &host);
    // reply: what fetch() has asked for; nullptr: it was refused.
    void answered(TopicHost &host, const redisReply *reply);
    // When to call tick(): a fetch is due, because one has failed, or because a log that nobody
    // reads is dropped after a day.
    TimePoint due() const { return due_; }
    void tick(TopicHost &host);
    void forget_held(TopicHost &host);

  private:
    struct Page;

    bool is_settled() const { return subscribed_ && loaded_ && !fetching_ && !failed_; }
    void fetch(TopicHost &host);
    void refresh(TopicHost &host);
    void request(TopicHost &host);
    void refresh_later();
    void fail(int retry_ms);
    void hold(TopicHost &host, std::string_view bytes);
    bool take(TopicHost &host, const Live &live);
    void replay(TopicHost &host);
    static bool read_page(const redisReply *reply, Page &page);
    static bool is_replaced(const Page &page, size_t i);
    bool hand_over(TopicHost &host, const Page &page);
    void begin_epoch(TopicHost &host, uint64_t epoch);
    bool hand_over_entry(TopicHost &host, uint64_t offset, std::string_view packed);
    // foreign: the context does not take it, as no node has written it. failed: later, or not any
    // more.
    enum class Outcome { done, foreign, failed };
    Outcome hand_over(TopicHost &host, uint64_t offset, uint64_t follows, std::string_view packed);
    bool skip_to(TopicHost &host, uint64_t offset);
    Outcome deliver(TopicHost &host, const libwebsock_delivery &delivery);

    const std::string name_;
    const uint64_t following_;
    const Limits limits_;

    bool subscribed_ = false; // the server has said so
    bool loaded_ = false;     // the log has been handed over to its end once
    bool fetching_ = false;   // an answer is due
    bool refreshing_ = false; // one is, and nothing waits for it
    bool again_ = false;      // that answer may be too old
    bool wants_end_ = false;  // see catch_up()
    bool failed_ = false;     // fetch when it is due
    bool gone_ = false;
    TimePoint due_ = kNever;

    uint64_t epoch_ = 0;      // 0: nothing was handed over
    std::string past_;        // the epochs before, as epoch_text() writes them
    uint64_t last_ = 0;       // handed over up to here
    bool has_origin_ = false; // of the message at last_
    Origin origin_;
    uint64_t delivered_ = 0; // messages
    int disagreements_ = 0;  // with the context, in a row, about what comes next

    std::deque<std::string> held_;
    bool overflowed_ = false; // not all that came was held
};

} // namespace websock::redis
