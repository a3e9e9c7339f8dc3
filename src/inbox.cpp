// inbox.cpp: see inbox.h.
#include "inbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace websock {

namespace {

constexpr size_t kKeptCapacity = 16; // events; more is given back when the queue is empty

} // namespace

Inbox::Put Inbox::put(std::span<Event> events)
{
    Lock lock(mutex_);
    while (bytes_ >= max_bytes_ && !cut_off_)
        room_.wait(mutex_);
    if (cut_off_)
        return Put::cut;
    if (queue_.capacity() < queue_.size() + events.size())
        queue_.reserve(std::max(2 * queue_.capacity(), queue_.size() + events.size()));
    for (Event &event : events) {
        bytes_ += event.cost();
        queue_.push_back(std::move(event));
    }
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
        in_time = room_.wait_until(mutex_, deadline);
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
        return {0, false};
    if (empty()) {
        into[0] = Event{.kind = Event::closed, .chunk = nullptr};
        closed_ = false;
        exclusive_running_ = true;
        running_ = 1;
        return {1, false};
    }
    exclusive_running_ = exclusive(queue_[head_]);
    size_t count = 0;
    const size_t most = concurrent_ ? 1 : into.size();
    while (count < most && !empty())
        into[count++] = std::move(queue_[head_++]);
    running_ += count;
    if (empty()) {
        queue_.clear();
        head_ = 0;
        if (queue_.capacity() > kKeptCapacity)
            queue_.shrink_to_fit();
    } else if (head_ > queue_.size() / 2) {
        queue_.erase(queue_.begin(), std::next(queue_.begin(), static_cast<std::ptrdiff_t>(head_)));
        head_ = 0;
    }
    return {count, schedule()};
}

bool Inbox::finished(std::span<const Event> events)
{
    Lock lock(mutex_);
    const bool was_full = bytes_ >= max_bytes_;
    for (const Event &event : events)
        bytes_ -= event.kind == Event::closed ? 0 : event.cost();
    running_ -= events.size();
    exclusive_running_ = false;
    const bool all_run = empty() && running_ == 0;
    if (all_run || (was_full && bytes_ < max_bytes_))
        room_.signal();
    return schedule();
}

} // namespace websock
