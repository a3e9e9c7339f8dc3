// inbox.cpp: how events, notices and calls are put in. How they are taken out is in
// inbox_taking.cpp. See inbox.h.
#include "inbox/inbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace websock {

void Inbox::limit(size_t max_bytes)
{
    Lock lock(mutex_);
    max_bytes_ = max_bytes;
}

void Inbox::limit_running(size_t most)
{
    Lock lock(mutex_);
    new_most_running_ = most;
    if (running_ == 0)
        take_new_limit();
}

void Inbox::take_new_limit()
{
    if (new_most_running_ == 0)
        return;
    most_running_ = std::exchange(new_most_running_, 0);
    concurrent_.store(most_running_ > 1, std::memory_order_relaxed);
}

Inbox::Put Inbox::put(std::vector<Event> &events, TimePoint deadline)
{
    Lock lock(mutex_);
    if (drops_overflow_ && bytes_ >= max_bytes_ && deadline == kNever) {
        events.clear();
        return Put::done;
    }
    bool in_time = true;
    while (is_full() && in_time)
        in_time = wait_for_room(deadline);
    if (cut_off_) {
        events.clear();
        return Put::cut;
    }
    make_room(events.size());
    put_ += events.size();
    takes_calls_ = takes_calls_ || events.front().kind == Event::open;
    bytes_ += events.size() * kEventCost;
    for (const Event &event : events)
        bytes_ += event.chunk && event.chunk->add_holder() ? event.chunk->cost() : 0;
    if (queue_.empty()) {
        queue_.swap(events);
    } else {
        std::move(events.begin(), events.end(), std::back_inserter(queue_));
        events.clear();
    }
    idle_.store(false, std::memory_order_relaxed); // read by this thread alone
    return claim_post() ? Put::schedule : Put::done;
}

bool Inbox::skip_open()
{
    Lock lock(mutex_);
    if (!empty() || running_ > 0 || posted_ > 0 || notice_ || cut_off_)
        return false;
    takes_calls_ = true;
    opened_ = true;
    return true;
}

bool Inbox::has_room(TimePoint deadline)
{
    Lock lock(mutex_);
    bool in_time = true;
    while (is_full() && in_time)
        in_time = wait_for_room(deadline);
    return !is_full();
}

// Makes places for count more. The places of events that were taken are used again once they are
// many, so that each event is moved a few times at most.
void Inbox::make_room(size_t count)
{
    if (queue_.empty() || queue_.capacity() - queue_.size() >= count)
        return;
    if (head_ >= queue_.size() / 4) {
        queue_.erase(queue_.begin(), std::next(queue_.begin(), static_cast<std::ptrdiff_t>(head_)));
        head_ = 0;
    }
    if (queue_.capacity() - queue_.size() < count)
        queue_.reserve(std::max(queue_.capacity() * 3 / 2, queue_.size() + count));
}

bool Inbox::put_closed()
{
    Lock lock(mutex_);
    closed_ = true;
    takes_calls_ = false;
    return claim_post();
}

bool Inbox::take_closed()
{
    Lock lock(mutex_);
    if (notice_ || !empty() || calls_.size() > 0)
        return false;
    --posted_;
    closed_ = false;
    over_ = true;
    return true;
}

bool Inbox::put_notice()
{
    Lock lock(mutex_);
    if (over_ || discarded_.load(std::memory_order_relaxed))
        return false;
    notice_ = true;
    return claim_post();
}

Inbox::PutCall Inbox::put_call(Call &call, size_t most)
{
    Lock lock(mutex_);
    if (!takes_calls_)
        return closed_ || over_ ? PutCall::late : PutCall::early;
    if (calls_.size() >= most)
        return PutCall::full;
    calls_.push(call, put_);
    return claim_post() ? PutCall::schedule : PutCall::done;
}

bool Inbox::withdraw_call(Call &call)
{
    Lock lock(mutex_);
    if (!calls_.remove(call))
        return false;
    ++calls_over_;
    if (waited_for_)
        room_.signal();
    return true;
}

void Inbox::wait_until_run(TimePoint deadline)
{
    Lock lock(mutex_);
    const uint64_t calls_before = calls_over_ + calls_.size() + (call_runs_ ? 1 : 0);
    const auto some_are_left = [&]() REQUIRES(mutex_) {
        return !empty() || (running_ > 0 && !call_runs_) || calls_over_ < calls_before;
    };
    bool in_time = true;
    while (some_are_left() && !cut_off_ && in_time)
        in_time = wait_for_room(deadline);
}

bool Inbox::wait_for_room(TimePoint deadline)
{
    waited_for_ = true;
    const bool in_time = room_.wait_until(mutex_, deadline);
    waited_for_ = false;
    return in_time;
}

void Inbox::drop_overflow()
{
    Lock lock(mutex_);
    drops_overflow_ = true;
    room_.broadcast();
}

void Inbox::cut_off()
{
    Lock lock(mutex_);
    cut_off_ = true;
    room_.broadcast();
}

void Inbox::discard()
{
    Lock lock(mutex_);
    cut_off_ = true;
    discarded_ = true;
    for (size_t i = head_; i < queue_.size(); ++i) {
        const Ref<Chunk> &chunk = queue_[i].chunk;
        bytes_ -= kEventCost + (chunk && chunk->remove_holder() ? chunk->cost() : 0);
    }
    queue_.clear();
    head_ = 0;
    taken_ = put_;
    notice_ = false;
    room_.broadcast();
}

// How many may begin now, up to most.
size_t Inbox::runnable(size_t most) const
{
    if (notice_is_next() || call_is_next())
        return running_ == 0 ? 1 : 0;
    if (empty() || exclusive(queue_[head_]))
        return running_ == 0 && (!empty() || closed_) ? 1 : 0;
    if (exclusive_running_)
        return 0;
    most = std::min({most, most_running_ - running_, queue_.size() - head_, until_call()});
    size_t count = 1;
    while (count < most && !exclusive(queue_[head_ + count]))
        ++count;
    return std::min(count, most);
}

// True: it has something to run and is not posted, so the caller must post the connection.
bool Inbox::claim_post()
{
    if (paused_ || posted_ > 0 || runnable(1) == 0)
        return false;
    posted_ = 1;
    return true;
}

void Inbox::pause()
{
    Lock lock(mutex_);
    --posted_;
    paused_ = true;
}

bool Inbox::go_on()
{
    Lock lock(mutex_);
    paused_ = false;
    return claim_post();
}

size_t Inbox::waiting()
{
    Lock lock(mutex_);
    // One of those that were taken runs, and which is not known; with concurrent_, each does.
    const size_t taken = is_concurrent() || running_ == 0 ? 0 : running_ - 1;
    return queue_.size() - head_ + taken + calls_.size() + (notice_ ? 1 : 0) + (closed_ ? 1 : 0);
}

} // namespace websock
