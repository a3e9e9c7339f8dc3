// topic.cpp: see topic.h.
#include "topics/topic.h"

#include "base/clock.h"
#include "topics/subscriber.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace websock {

Ref<Topic> Topic::make(std::string_view name, uint64_t epoch, const Options &options,
                       Dispatcher &dispatcher, std::atomic<size_t> &all_bytes)
{
    return Ref<Topic>::adopt(new Topic(name, epoch, options, dispatcher, all_bytes));
}

void Topic::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

// To be called whenever something may have entered or left the log. The difference wraps as it
// should if the log has shrunk.
void Topic::count_bytes()
{
    const size_t bytes = log_.bytes();
    if (bytes != counted_bytes_)
        all_bytes_ += bytes - std::exchange(counted_bytes_, bytes);
}

void Topic::configure(const Options &options)
{
    Lock lock(mutex_);
    options_ = options;
}

Topic::Published Topic::publish(const Ref<Message> &message, int64_t now_ms,
                                const std::function<void()> &entered)
{
    Lock lock(mutex_);
    if (gone_)
        return {.gone = true};
    Published published;
    published.replaced = log_.append(message, options_.limits, now_ms);
    count_bytes();
    published.offset = log_.end() - 1;
    entered();
    post_slices();
    return published;
}

// The log has become longer.
void Topic::post_slices()
{
    end_.store(log_.end(), std::memory_order_release);
    for (const std::unique_ptr<Slice> &slice : slices_) {
        if (slice->members_.empty())
            break;
        post(*slice);
    }
}

Topic::Delivered Topic::deliver(const Kept &at, const Ref<Message> &message, int64_t now_ms,
                                const std::function<void()> &entered)
{
    Lock lock(mutex_);
    if (gone_)
        return {.gone = true};
    uint64_t lost = 0;
    if (kept_epoch_ == 0)
        kept_next_ = at.offset + (message ? 0 : 1);
    else if (at.epoch != kept_epoch_)
        lost = std::exchange(kept_next_, 1) > 1 ? 1 : 0; // nobody knows how many
    kept_epoch_ = at.epoch;
    Delivered delivered{.missing = !at.ends && at.follows >= kept_next_};
    if (!message && at.offset >= kept_next_ && !delivered.missing)
        lost += at.offset + 1 - std::exchange(kept_next_, at.offset + 1);
    if (lost > 0) {
        log_.lose(lost);
        post_slices();
    }
    if (at.ends && !std::exchange(complete_, true))
        completed_.broadcast();
    if (message && at.offset >= kept_next_ && !delivered.missing) {
        delivered.replaced = log_.append(message, options_.limits, now_ms);
        delivered.entered = true;
        kept_next_ = at.offset + 1;
        count_bytes();
        entered();
        post_slices();
    }
    delivered.next = kept_next_;
    return delivered;
}

bool Topic::wait_until_complete(TimePoint deadline)
{
    Lock lock(mutex_);
    bool in_time = true;
    while (!complete_ && !waiting_stopped_ && in_time)
        in_time = completed_.wait_until(mutex_, deadline);
    return complete_;
}

void Topic::is_incomplete()
{
    Lock lock(mutex_);
    complete_ = false;
}

void Topic::stop_waiting()
{
    Lock lock(mutex_);
    waiting_stopped_ = true;
    completed_.broadcast();
}

void Topic::post(Slice &slice)
{
    if (!std::exchange(slice.posted_, true))
        dispatcher_.post(slice);
}

int Topic::add(Subscription &subscription, const Start &start)
{
    Lock lock(mutex_);
    expire_locked();
    uint64_t cursor = log_.before_last(start.history);
    if (start.after_id) {
        const std::optional<uint64_t> behind = log_.behind(start.after_id);
        if (!behind)
            return ENOENT;
        cursor = *behind;
    }
    const size_t at = subscribers_ / Slice::kMost;
    if (at == slices_.size())
        slices_.push_back(std::make_unique<Slice>(*this));
    Slice &slice = *slices_[at];
    subscription.cursor = cursor;
    subscription.slice = at;
    subscription.index = slice.members_.size();
    slice.members_.push_back(&subscription); // there is room: it was reserved
    ++subscribers_;
    return 0;
}

// The last one takes its place. What its slice was posted for it may not have been told yet, so it
// takes that along.
void Topic::remove(Subscription &subscription)
{
    Lock lock(mutex_);
    --subscribers_;
    Slice &from = *slices_[subscribers_ / Slice::kMost];
    Subscription *const last = from.members_.back();
    from.members_.pop_back();
    if (last == &subscription)
        return;
    Slice &to = *slices_[subscription.slice];
    to.members_[subscription.index] = last;
    last->slice = subscription.slice;
    last->index = subscription.index;
    if (from.posted_)
        post(to);
}

void Topic::expire_locked()
{
    if (options_.limits.age_ms == 0)
        return;
    log_.expire(options_.limits, coarse_ms());
    count_bytes();
}

void Topic::expire(int64_t now_ms)
{
    Lock lock(mutex_);
    log_.expire(options_.limits, now_ms);
    count_bytes();
}

bool Topic::evict_oldest()
{
    Lock lock(mutex_);
    if (log_.empty())
        return false;
    log_.evict_oldest();
    count_bytes();
    return true;
}

void Topic::drop()
{
    Lock lock(mutex_);
    gone_ = true;
    while (!log_.empty())
        log_.evict_oldest();
    count_bytes();
    waiting_stopped_ = true; // nobody is to wait whose connection has ended
    completed_.broadcast();
}

bool Topic::is_empty()
{
    Lock lock(mutex_);
    return log_.empty();
}

Topic::Figures Topic::figures()
{
    Lock lock(mutex_);
    expire_locked();
    const bool is_here = kept_epoch_ == 0;
    Figures figures{.epoch = is_here ? epoch_ : kept_epoch_,
                    .offset = is_here ? log_.end() - 1 : kept_next_ - 1,
                    .messages = log_.messages(),
                    .bytes = log_.bytes(),
                    .subscribers = subscribers_};
    for (const std::unique_ptr<Slice> &slice : slices_) {
        for (const Subscription *subscription : slice->members_)
            figures.furthest_behind =
                std::max(figures.furthest_behind,
                         log_.end() - subscription->cursor.load(std::memory_order_relaxed));
    }
    return figures;
}

// No lock is held while a client is written to. Who unsubscribes meanwhile is told in vain.
void Topic::Slice::run(Progress &progress, std::vector<uint8_t> &) noexcept
{
    std::array<Ref<Subscription>, kMost> members;
    size_t count = 0;
    {
        Lock lock(topic_.mutex_);
        posted_ = false;
        for (Subscription *member : members_)
            members[count++] = Ref<Subscription>::share(member);
    }
    for (size_t i = 0; i < count; ++i) {
        if (i + 1 < count)
            members[i + 1]->subscriber.prefetch();
        Subscription &member = *members[i];
        progress.begin_event();
        if (member.subscriber.make_ready(member))
            member.client->outbox().deliver();
    }
}

} // namespace websock
