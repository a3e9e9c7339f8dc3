// inbox.cpp: see inbox.h.
#include "inbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace websock {

namespace {

constexpr size_t kKeptCapacity = 32; // events; more is given back when the queue is empty

} // namespace

Inbox::Put Inbox::put(std::vector<Event> &events, TimePoint deadline)
{
    Lock lock(mutex_);
    if (takes_no_more_ && bytes_ >= max_bytes_ && deadline == kNever) {
        events.clear();
        return Put::done;
    }
    bool in_time = true;
    while (bytes_ >= max_bytes_ && !takes_no_more_ && !cut_off_ && in_time)
        in_time = wait_for_room(deadline);
    if (cut_off_) {
        events.clear();
        return Put::cut;
    }
    size_t bytes = 0;
    for (const Event &event : events)
        bytes += event.cost();
    if (queue_.empty()) {
        queue_.swap(events);
    } else {
        if (queue_.capacity() < queue_.size() + events.size())
            queue_.reserve(std::max(2 * queue_.capacity(), queue_.size() + events.size()));
        std::move(events.begin(), events.end(), std::back_inserter(queue_));
        events.clear();
    }
    bytes_ += bytes;
    return schedule() ? Put::schedule : Put::done;
}

bool Inbox::put_closed()
{
    Lock lock(mutex_);
    closed_ = true;
    return schedule();
}

void Inbox::wait_until_run(TimePoint deadline)
{
    Lock lock(mutex_);
    bool in_time = true;
    while ((!empty() || running_ > 0) && !cut_off_ && in_time)
        in_time = wait_for_room(deadline);
}

bool Inbox::wait_for_room(TimePoint deadline)
{
    waited_for_ = true;
    const bool in_time = room_.wait_until(mutex_, deadline);
    waited_for_ = false;
    return in_time;
}

void Inbox::take_no_more()
{
    Lock lock(mutex_);
    takes_no_more_ = true;
    room_.broadcast();
}

void Inbox::cut_off()
{
    Lock lock(mutex_);
    cut_off_ = true;
    room_.broadcast();
}

bool Inbox::next_may_run() const
{
    if (empty())
        return closed_ && running_ == 0;
    return running_ == 0 || (!exclusive_running_ && !exclusive(queue_[head_]));
}

// Whether the connection must be posted: it has something to run, and is not posted.
bool Inbox::schedule()
{
    if (scheduled_ || !next_may_run())
        return false;
    scheduled_ = true;
    return true;
}

Inbox::Taken Inbox::take(std::span<Event> into)
{
    Lock lock(mutex_);
    scheduled_ = false;
    if (!next_may_run())
        return {};
    if (empty()) {
        into[0] = Event{.kind = Event::closed, .chunk = nullptr};
        closed_ = false;
        exclusive_running_ = true;
        running_ = 1;
        return {.count = 1};
    }
    exclusive_running_ = exclusive(queue_[head_]);
    Taken taken;
    const size_t most = concurrent_ ? 1 : into.size();
    while (taken.count < most && !empty()) {
        taken.bytes += queue_[head_].cost();
        into[taken.count++] = std::move(queue_[head_++]);
    }
    running_ += taken.count;
    if (empty()) {
        queue_.clear();
        head_ = 0;
        if (queue_.capacity() > kKeptCapacity)
            queue_.shrink_to_fit();
    } else if (head_ > queue_.size() / 2) {
        queue_.erase(queue_.begin(), std::next(queue_.begin(), static_cast<std::ptrdiff_t>(head_)));
        head_ = 0;
    }
    taken.schedule = schedule();
    return taken;
}

bool Inbox::finished(const Taken &events)
{
    Lock lock(mutex_);
    bytes_ -= events.bytes;
    running_ -= events.count;
    exclusive_running_ = false;
    if (waited_for_)
        room_.signal();
    return schedule();
}

} // namespace websock
