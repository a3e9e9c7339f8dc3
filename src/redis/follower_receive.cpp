// follower_receive.cpp: what the server sends to the follower: acknowledgements, live messages and
// Pongs.
#include "redis/follower.h"

#include <utility>

namespace websock::redis {

namespace {

constexpr int kMostInARow = 256; // replies; then it looks at its orders

bool is_kind(const redisReply &reply, size_t elements, std::string_view kind)
{
    return reply.type == REDIS_REPLY_ARRAY && reply.elements == elements &&
           reply.element[0]->type == REDIS_REPLY_STRING && text_of(*reply.element[0]) == kind;
}

} // namespace

void Follower::receive_all()
{
    Reply reply;
    has_backlog_ = true;
    for (int i = 0; i < kMostInARow; ++i) {
        if (link_.receive(reply) != 0)
            return lose();
        has_backlog_ = reply != nullptr;
        if (has_backlog_ || link_.has_moved()) {
            heard_ = Clock::now();
            pinged_ = kNever;
        }
        if (!has_backlog_)
            break;
        receive(*reply);
        if (acknowledgements_.empty())
            backoff_.reset();
        if (!link_.is_open())
            return;
        if (has_orders_.load(std::memory_order_relaxed))
            take_orders();
    }
    const std::chrono::milliseconds half(std::max(1, settings_.command_timeout_ms / 2));
    if (pinged_ != kNever && Clock::now() - pinged_ >= half) {
        (void)link_.refuse("the server does not answer");
        lose();
    }
}

void Follower::receive(const redisReply &reply)
{
    if (is_kind(reply, 3, "message"))
        return live(reply);
    if (is_kind(reply, 3, "subscribe") || is_kind(reply, 3, "unsubscribe"))
        return acknowledged();
    if (reply.type != REDIS_REPLY_ERROR)
        return; // a Pong
    const std::string error(text_of(reply));
    (void)link_.refuse(error);
    lose();
}

// Acknowledgements come in the order of the commands.
void Follower::acknowledged()
{
    if (acknowledgements_.empty())
        return;
    const Acknowledgement what = std::move(acknowledgements_.front());
    acknowledgements_.pop_front();
    const auto at = topics_.find(what.topic);
    if (at != topics_.end() && at->second.following() == what.following)
        at->second.subscribed(*this);
}

void Follower::live(const redisReply &reply)
{
    if (reply.element[1]->type != REDIS_REPLY_STRING ||
        reply.element[2]->type != REDIS_REPLY_STRING)
        return;
    FollowedTopic *const topic = find(text_of(*reply.element[1]));
    if (!topic)
        return; // it was unfollowed a moment ago
    topic->live(*this, text_of(*reply.element[2]));
    if (topic->is_gone())
        drop(std::string(topic->name()));
}

FollowedTopic *Follower::find(std::string_view channel)
{
    if (!channel.starts_with(channels_))
        return nullptr;
    name_ = channel.substr(channels_.size());
    const auto at = topics_.find(name_);
    return at == topics_.end() ? nullptr : &at->second;
}

} // namespace websock::redis
