// outbox_turn.cpp: how what is to be sent leaves: who has the turn to write, what is
// flushed when, and how the sending side ends. See outbox.h.
#include "outbox.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace websock {

namespace {

// What an idle connection keeps of its buffers.
constexpr size_t kKeptCapacity = 1024;
// What a worker keeps of its own: a batch gathers 16 KiB, and a vector grows by doubling.
constexpr size_t kLentCapacity = 32 * 1024;

iovec part(std::span<const uint8_t> bytes)
{
    return {const_cast<uint8_t *>(bytes.data()), bytes.size()};
}

} // namespace

// Waits for the turn. 0, or why there is none: ETIMEDOUT drops the connection, since
// whoever has the turn is stuck behind a peer that does not read.
int Outbox::take_turn(TimePoint deadline)
{
    if (state() == State::ended)
        return ENOTCONN;
    if (!std::exchange(writing_, true))
        return 0;
    ++waiting_;
    bool in_time = true;
    while (!handed_over_ && in_time && state() != State::ended)
        in_time = turn_.wait_until(mutex_, deadline);
    --waiting_;
    if (!std::exchange(handed_over_, false)) {
        const bool late = state() != State::ended;
        fail(ETIMEDOUT); // unless it has ended
        return late ? ETIMEDOUT : ENOTCONN;
    }
    if (state() != State::ended)
        return 0;
    pass_turn();
    return ENOTCONN;
}

// Gives the turn to a thread that waits for it, before any that comes now; or back, and
// then the flusher sees to what has become pending.
void Outbox::pass_turn()
{
    in_flight_.clear();
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && lent->capacity() < in_flight_.capacity() && in_flight_.capacity() <= kLentCapacity)
        in_flight_.swap(*lent);
    if (in_flight_.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(in_flight_);
    if (waiting_ > 0 && state() != State::ended) {
        handed_over_ = true;
        turn_.signal();
        return;
    }
    writing_ = false;
    if (flush_is_due())
        post_flusher();
    if (state() == State::ended || !anything_pending())
        wake_quiet_waiters();
}

// Makes in_flight_ what leaves next. Only the holder of the turn.
void Outbox::load_in_flight()
{
    queue_pong();
    in_flight_.clear();
    in_flight_.swap(pending_);
}

// Writes what is pending, and frame behind it. Only the holder of the turn.
int Outbox::write(Frame frame, TimePoint deadline)
{
    load_in_flight();
    std::array<iovec, 3> parts{part(in_flight_), part(frame.header), part(frame.payload)};
    const size_t bytes = in_flight_.size() + frame.size();
    unsent_ = false; // unless it becomes so meanwhile

    mutex_.unlock();
    const int error = transport_.write_all(parts, deadline);
    mutex_.lock();

    in_flight_.clear();
    if (error == 0)
        totals_.bytes += bytes;
    else
        fail(error);
    return error == 0 || error == ETIMEDOUT ? error : ENOTCONN;
}

void Outbox::flush_if_due()
{
    if (flush_is_due())
        write_some({});
}

bool Outbox::flush_is_due() const
{
    return !gathering_ && !writing_ && !flush_posted_ && state() != State::ended &&
           anything_pending();
}

// Writes what is pending, and frame behind it, as far as it can leave without waiting;
// the rest stays pending, and is the flusher's. The turn must be free.
void Outbox::write_some(Frame frame)
{
    writing_ = true;
    load_in_flight();
    std::array<iovec, 3> parts{part(in_flight_), part(frame.header), part(frame.payload)};
    unsent_ = false;
    mutex_.unlock();
    const ssize_t n = transport_.write_some(parts.data(), 3);
    const int error = n < 0 ? errno : 0;
    const bool unsent = transport_.unsent();
    mutex_.lock();
    unsent_ = unsent_ || unsent;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() != State::ended) { // nothing is kept of a connection that has
        const size_t written = n > 0 ? static_cast<size_t>(n) : 0;
        totals_.bytes += written;
        if (written < in_flight_.size() + frame.size())
            put_back(written, frame);
    }
    pass_turn();
}

// What was not written goes before what has become pending meanwhile.
void Outbox::put_back(size_t written, Frame frame)
{
    std::array<iovec, 3> parts{part(in_flight_), part(frame.header), part(frame.payload)};
    std::vector<uint8_t> rest;
    try {
        for (const iovec &left : drop_written(parts, written)) {
            const auto *from = static_cast<const uint8_t *>(left.iov_base);
            rest.insert(rest.end(), from, from + left.iov_len);
        }
        rest.insert(rest.end(), pending_.begin(), pending_.end());
    } catch (const std::bad_alloc &) {
        fail(ENOMEM); // half a frame cannot be taken back
        return;
    }
    pending_.swap(rest);
    post_flusher();
}

bool Outbox::wait_for_quiet(TimePoint deadline)
{
    ++quiet_waiters_;
    const bool in_time = quiet_.wait_until(mutex_, deadline);
    --quiet_waiters_;
    return in_time;
}

void Outbox::wake_quiet_waiters()
{
    if (quiet_waiters_ > 0)
        quiet_.broadcast();
}

void Outbox::post_flusher()
{
    if (!std::exchange(flush_posted_, true))
        dispatcher_.post(flusher_);
}

void Outbox::end_batch()
{
    Lock lock(mutex_);
    gathering_ = false;
    if (!flush_posted_)
        flush_pending(kNever);
    lent_.store(nullptr, std::memory_order_relaxed);
}

void Outbox::hurry()
{
    Lock lock(mutex_);
    gathering_ = false;
    flush_if_due();
}

void Outbox::flush()
{
    Lock lock(mutex_);
    flush_posted_ = false;
    flush_pending(kNever);
}

void Outbox::flush_pending(TimePoint deadline)
{
    while (state() != State::ended && anything_pending()) {
        const TimePoint until = std::min(deadline, in_ms(limits_.send_timeout_ms));
        if (take_turn(until) != 0)
            return;
        (void)write({}, until);
        pass_turn();
    }
}

void Outbox::finish(TimePoint deadline)
{
    Lock lock(mutex_);
    flush_pending(deadline);
    bool in_time = true;
    while (in_time && writing_ && state() != State::ended)
        in_time = wait_for_quiet(deadline);
    end_writing();
}

// The end of our side, unless somebody is stuck in it. It does not wait, so the lock may
// be held meanwhile; that nothing is written behind it is the caller's care.
void Outbox::end_writing()
{
    if (!writing_ && drop_reason_.empty() && !std::exchange(writing_ended_, true))
        transport_.end_writing();
}

void Outbox::fail(int error)
{
    if (state() == State::ended)
        return;
    totals_.timed_out = error == ETIMEDOUT;
    try {
        if (drop_reason_.empty())
            drop_reason_ = error == ETIMEDOUT ? "did not read for " +
                                                    std::to_string(limits_.send_timeout_ms) + " ms"
                                              : std::string("write: ") + std::strerror(error);
    } catch (const std::bad_alloc &) {
        // It ends all the same.
    }
    transport_.abort();
    end_locked();
}

void Outbox::drop(std::string_view reason)
{
    Lock lock(mutex_);
    if (state() == State::ended)
        return;
    try {
        if (drop_reason_.empty())
            drop_reason_ = reason;
    } catch (const std::bad_alloc &) {
        // It ends all the same.
    }
    transport_.abort();
    end_locked();
}

std::string Outbox::drop_reason()
{
    Lock lock(mutex_);
    return drop_reason_;
}

void Outbox::end()
{
    Lock lock(mutex_);
    if (state() != State::ended)
        end_locked();
    end_writing();
    if (writing_ || !writing_ended_)
        transport_.shut();
    while (writing_)
        (void)wait_for_quiet(kNever);
}

void Outbox::end_locked()
{
    state_ = State::ended;
    has_pong_ = unsent_ = false;
    std::vector<uint8_t>().swap(pending_);
    std::vector<uint8_t>().swap(held_);
    turn_.broadcast();
    wake_quiet_waiters();
}

} // namespace websock
