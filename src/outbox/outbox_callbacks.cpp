// outbox_callbacks.cpp: what the callbacks of a client may leave behind: a batch's frames, which
// are gathered, bytes for the Flusher, and so much unread that no further callback should run.
// See outbox.h.
#include "outbox/outbox.h"

#include <algorithm>

namespace websock {

// What a client may leave unread before the callbacks of its next messages have to wait; less,
// if max_queued_bytes are less than twice as many.
constexpr size_t kMaxBacklog = 64 * 1024;

thread_local constinit RunningCallback RunningCallback::current;

// Of a frame, to the Flusher. A callback that waits instead holds a worker up.
size_t Outbox::may_leave_bytes() const
{
    if (!in_callback())
        return 0;
    return RunningCallback::current.has_left_frame ? room() : SIZE_MAX;
}

void Outbox::stop_gathering()
{
    Lock lock(mutex_);
    stop_gathering_locked();
}

void Outbox::stop_gathering_locked()
{
    gathering_.store(false, std::memory_order_relaxed); // whoever reads it has the lock
    flush_if_due();
}

void Outbox::end_batch()
{
    Lock lock(mutex_);
    end_batch_locked();
}

bool Outbox::end_batch_or_suspend()
{
    Lock lock(mutex_);
    end_batch_locked();
    return !suspend_locked();
}

void Outbox::end_batch_locked()
{
    stop_gathering_locked();
    lent_.store(nullptr, std::memory_order_relaxed);
}

bool Outbox::suspend_if_backed_up()
{
    Lock lock(mutex_);
    return suspend_locked();
}

bool Outbox::suspend_locked()
{
    const bool suspends = is_backed_up_locked();
    resume_after_load_ = suspends ? loads_ + (queue_.empty() ? 0 : 1) : 0;
    return suspends;
}

bool Outbox::is_backed_up()
{
    if (!left_to_flusher_.load(std::memory_order_relaxed))
        return false;
    Lock lock(mutex_);
    return is_backed_up_locked();
}

// Only answers to the client's own messages count: a client that is sent much by others is heard
// all the same. What waits for a last fragment does not count: a callback may have to send that.
bool Outbox::is_backed_up_locked() const
{
    const size_t allowed = std::min(kMaxBacklog, max_queued_bytes_ / 2);
    return state() != State::ended && callback_bytes_ > allowed &&
           queue_.size() + unwritten() > allowed;
}

// What was queued after the owner was suspended does not keep it waiting.
void Outbox::resume_owner_if_due()
{
    if (tells_when_drained_ && queued_bytes() == 0 && state() != State::ended) {
        tells_when_drained_ = false;
        drained_ = true;
        owner_.notify();
    }
    const bool has_left =
        loads_ >= resume_after_load_ && unwritten() == 0 && !transport_wants_write_;
    if (resume_after_load_ == 0 || (!has_left && state() != State::ended))
        return;
    resume_after_load_ = 0;
    callback_bytes_ = 0; // what was sent meanwhile counts as read
    owner_.resume_callbacks();
}

} // namespace websock
