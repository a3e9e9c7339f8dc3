// publisher_round.cpp: one round trip of a publisher: commands out, and what each answer means.
#include "redis/publisher.h"

#include "redis_connection/refusal.h"

#include <utility>

namespace websock::redis {

void Publisher::round()
{
    queue_.take(batch_, fetches_);
    number_batch();
    settled_.assign(batch_.size(), false);
    fetched_.assign(fetches_.size(), false);
    scripts_forgotten_ = reconnect_ = false;
    refusal_.clear();
    int error = append_all();
    if (error == 0)
        error = receive_all();
    if (error == 0)
        error = receive_fetches();
    forget_settled();
    if (error == 0) {
        end_round();
    } else {
        lose();
        rest();
    }
}

void Publisher::number_batch()
{
    for (Publication &publication : batch_) {
        if (publication.sequence != 0)
            continue;
        publication.sequence = ++sequence_;
        set_origin(publication.packed, {node_, publication.sequence});
    }
}

// Each publication demands that the one before it was taken, so that none overtakes one that was
// refused.
int Publisher::append_all()
{
    const std::string epoch = epoch_text(fresh_epoch());
    const int64_t now = unix_ms();
    uint64_t before = 0;
    for (const Publication &publication : batch_) {
        if (const int error = calls_.append_publish(link_, publication, before, epoch, now);
            error != 0)
            return error;
        before = publication.sequence;
    }
    for (const Fetch &fetch : fetches_) {
        if (const int error = calls_.append_fetch(link_, fetch, epoch); error != 0)
            return error;
    }
    return 0;
}

int Publisher::receive_all()
{
    Reply reply;
    for (size_t i = 0; i < batch_.size(); ++i) {
        if (const int error = link_.exchange(reply, *stop_); error != 0)
            return error;
        judge(*reply, i);
    }
    return 0;
}

int Publisher::receive_fetches()
{
    for (size_t i = 0; i < fetches_.size(); ++i) {
        Reply reply;
        if (const int error = link_.exchange(reply, *stop_); error != 0)
            return error;
        if (reply->type == REDIS_REPLY_ERROR) {
            if (!is_final(text_of(*reply)))
                continue;
            if (said_unfetched_.due())
                log_.write(LIBWEBSOCK_LOG_ERROR, "redis %s: the log of topic %s cannot be read: %s",
                           server_.c_str(), fetches_[i].topic.c_str(), reply->str);
            reply.reset();
        }
        receiver_->answered(fetches_[i], std::move(reply));
        fetched_[i] = true;
    }
    return 0;
}

void Publisher::judge(const redisReply &reply, size_t i)
{
    if (reply.type == REDIS_REPLY_INTEGER && reply.integer == kOutOfOrder)
        return;
    if (reply.type == REDIS_REPLY_INTEGER &&
        (reply.integer == kTaken || reply.integer == kDuplicate)) {
        counters_.published.fetch_add(1, std::memory_order_relaxed);
        if (reply.integer == kDuplicate)
            counters_.duplicates.fetch_add(1, std::memory_order_relaxed);
        settled_[i] = true;
        return;
    }
    const bool is_error = reply.type == REDIS_REPLY_ERROR;
    if (is_error && !is_final(text_of(reply)))
        return;
    say_dropped(batch_[i], is_error ? text_of(reply) : "the answer is not the script's");
    settled_[i] = true;
}

// Whether the same command would always be refused. If not, it is to be sent again.
bool Publisher::is_final(std::string_view error)
{
    switch (refusal_in(error)) {
    case Refusal::no_script:
        scripts_forgotten_ = true;
        return false;
    case Refusal::reconnect:
        reconnect_ = true;
        [[fallthrough]];
    case Refusal::for_now:
        if (refusal_.empty())
            refusal_ = error;
        return false;
    case Refusal::permission:
    case Refusal::for_good:
        break;
    }
    return true;
}

void Publisher::say_dropped(const Publication &publication, std::string_view error)
{
    counters_.dropped.fetch_add(1, std::memory_order_relaxed);
    if (said_dropped_.due())
        log_.write(LIBWEBSOCK_LOG_ERROR, "redis %s: a message for topic %s is lost: %.*s",
                   server_.c_str(), publication.topic.c_str(), static_cast<int>(error.size()),
                   error.data());
}

void Publisher::forget_settled()
{
    size_t kept = 0;
    for (size_t i = 0; i < batch_.size(); ++i) {
        if (i < settled_.size() && settled_[i])
            unsent_.remove(batch_[i].cost());
        else if (kept++ != i)
            batch_[kept - 1] = std::move(batch_[i]);
    }
    batch_.resize(kept);
    kept = 0;
    for (size_t i = 0; i < fetches_.size(); ++i) {
        if ((i >= fetched_.size() || !fetched_[i]) && kept++ != i)
            fetches_[kept - 1] = std::move(fetches_[i]);
    }
    fetches_.resize(kept);
}

void Publisher::end_round()
{
    if (scripts_forgotten_ && calls_.load(link_, *stop_) != 0) {
        lose();
        return rest();
    }
    if (!refusal_.empty()) {
        health_.began(Trouble::refused, refusal_);
        if (reconnect_)
            link_.close();
        return rest();
    }
    health_.ended(Trouble::refused);
    backoff_.reset();
}

} // namespace websock::redis
