// inbox_taking.cpp: how workers take events out of an inbox, and say that they have run. What puts
// them in is in inbox.cpp. See inbox.h.
#include "inbox/inbox.h"

#include <algorithm>
#include <utility>

namespace websock {

namespace {

// Events are taken until they have this much payload, so that a client with large messages does not
// keep a worker for 32 of them.
constexpr uint64_t kTakenPayload = 16 * 1024;

constexpr size_t kKeptCapacity = 32; // events; more is given back when the queue is empty

uint64_t payload_of(const Event &event)
{
    if (event.kind == Event::part)
        return event.part_len;
    return event.payload ? event.payload_len : 0;
}

} // namespace

Inbox::Taken Inbox::take(Batch &into)
{
    Lock lock(mutex_);
    --posted_;
    if (runnable(1) == 0)
        return {};
    if (notice_is_next() || call_is_next() || empty())
        return take_alone(into);
    Taken taken = take_queued(into);
    const size_t more = paused_ ? 0 : runnable(most_running_);
    taken.posts = more - std::min(posted_, more);
    posted_ += taken.posts;
    return taken;
}

Inbox::Taken Inbox::take_queued(Batch &into)
{
    const bool concurrent = is_concurrent();
    const size_t most =
        concurrent ? 1 : std::min({kMostTaken, queue_.size() - head_, until_call()});
    exclusive_running_ = exclusive(queue_[head_]);
    Taken taken;
    bool is_open = false; // onopen runs alone: what comes behind it may be to run at the same time
    for (uint64_t payload = 0; taken.count < most && payload < kTakenPayload && !is_open;) {
        Event &event = queue_[head_ + taken.count++];
        is_open = event.kind == Event::open;
        payload += payload_of(event);
        if (concurrent)
            taken.chunk = event.chunk;
        else if (event.chunk && event.chunk->remove_holder()) // those before it are taken too
            taken.bytes += event.chunk->cost();
        into.push_back(std::move(event));
    }
    taken.bytes += taken.count * kEventCost;
    opened_ = opened_ || is_open;
    head_ += taken.count;
    running_ += taken.count;
    taken_ += taken.count;
    hold_for(into[taken.count - 1]);
    if (empty()) {
        queue_.clear();
        head_ = 0;
        if (queue_.capacity() > kKeptCapacity)
            queue_.shrink_to_fit();
    }
    return taken;
}

// The last one that was taken may share a chunk that an event still queued holds for it. discard()
// would drop that event while this one runs, so it gets a reference of its own.
void Inbox::hold_for(Event &last)
{
    if (!last.payload || last.chunk)
        return;
    size_t next = head_;
    while (next < queue_.size() && !queue_[next].chunk)
        ++next;
    if (next < queue_.size())
        last.chunk = queue_[next].chunk;
}

// What is not in the queue: a notice, a call, or the last event.
Inbox::Taken Inbox::take_alone(Batch &into)
{
    exclusive_running_ = true;
    running_ = 1;
    if (notice_is_next()) {
        into.push_back({.kind = Event::notice});
        notice_ = false;
    } else if (call_is_next()) {
        call_runs_ = true;
        into.push_back({.kind = Event::call, .payload = reinterpret_cast<uint8_t *>(calls_.pop())});
    } else {
        into.push_back({.kind = Event::closed});
        closed_ = false;
        over_ = true;
    }
    return {.count = 1};
}

bool Inbox::finished(const Taken &events)
{
    Lock lock(mutex_);
    bytes_ -= events.bytes;
    if (events.chunk && events.chunk->remove_holder())
        bytes_ -= events.chunk->cost();
    running_ -= events.count;
    exclusive_running_ = false;
    calls_over_ += std::exchange(call_runs_, false) ? 1 : 0;
    if (running_ == 0)
        take_new_limit();
    if (empty() && running_ == 0)
        idle_.store(true, std::memory_order_release);
    if (waited_for_)
        room_.signal();
    return claim_post();
}

} // namespace websock
