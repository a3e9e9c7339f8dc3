// outbox_callbacks.cpp: what the callbacks of a client may leave behind: a batch's frames, which
// are gathered, bytes for the Flusher, and so much unread that no further callback should run.
// See outbox.h.
#include "outbox/outbox.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace websock {

// Gathered frames leave at this size at the latest: about what one sendmsg can carry
// at the price of a small one.
constexpr size_t kGatherBytes = 16 * 1024;
// What a client may leave unread before the callbacks of its next messages have to wait; less,
// if max_queued_bytes are less than twice as many.
constexpr size_t kMaxBacklog = 64 * 1024;
// Payload that is copied twice to be appended once.
constexpr size_t kMostJoined = 256;

thread_local constinit RunningCallback RunningCallback::current;

bool Outbox::fits_batch(size_t size) const
{
    return gathering_ && queue_.size() + size <= kGatherBytes;
}

void Outbox::borrow_buffer()
{
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && queue_.empty() && lent->capacity() > queue_.capacity())
        queue_.swap(*lent);
}

// These three are a short way for what callbacks send most: short messages that are neither
// compressed nor in fragments, and leave with their batch. It ends as send() does without it.
// Whether that may be worth a look under the lock.
bool Outbox::may_gather(bool fin, Opcode opcode) const
{
    const bool is_message = fin && (opcode == Opcode::text || opcode == Opcode::binary);
    return is_message && gathering_.load(std::memory_order_relaxed) && state() == State::open &&
           !compression_;
}

bool Outbox::gathers(size_t payload_len) const
{
    return payload_len <= kMostJoined && fits_batch(kMaxServerHeader + payload_len) &&
           state() == State::open && !fragments_.under_way;
}

int Outbox::gather(Opcode opcode, std::span<const uint8_t> payload)
try {
    std::array<uint8_t, kMaxServerHeader + kMostJoined> frame; // one piece is appended faster
    const size_t header_len = encode_header(frame.data(), true, opcode, payload.size());
    std::copy(payload.begin(), payload.end(), frame.begin() + header_len);
    const size_t size = header_len + payload.size();
    if (in_callback())
        callback_bytes_ += size;
    borrow_buffer();
    // As the vector grows by doubling, small frames are not copied again and again.
    queue_.insert(queue_.end(), frame.begin(), frame.begin() + size);
    // A batch that takes long is gathered no longer: one look at the clock is exact enough.
    if (gathering_since_ms_ == 0)
        gathering_since_ms_ = coarse_ms();
    trace_.add(frame[0], payload.size(), gathering_since_ms_);
    ++totals_.messages;
    return 0;
} catch (const std::bad_alloc &) {
    return ENOMEM; // nothing was sent
}

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
    gathering_since_ms_ = 0;
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
