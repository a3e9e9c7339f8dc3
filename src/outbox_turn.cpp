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

iovec part(std::span<const uint8_t> bytes)
{
    return {const_cast<uint8_t *>(bytes.data()), bytes.size()};
}

} // namespace

// Waits for the turn. 0, or why there is none: ETIMEDOUT drops the connection, since
// whoever has the turn is stuck behind a peer that does not read.
int Outbox::take_turn(TimePoint deadline)
{
    while (writing_ && state() != State::ended) {
        ++waiting_;
        const bool in_time = turn_.wait_until(mutex_, deadline);
        --waiting_;
        if (!in_time && writing_ && state() != State::ended) {
            fail(ETIMEDOUT);
            return ETIMEDOUT;
        }
    }
    if (state() == State::ended)
        return ENOTCONN;
    writing_ = true;
    return 0;
}

// Gives the turn back, to a thread that waits for it, or to what has become pending.
void Outbox::pass_turn()
{
    writing_ = false;
    if (in_flight_.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(in_flight_);
    flush_if_due();
    if (!writing_)
        announce_turn();
}

void Outbox::announce_turn()
{
    if (state() == State::ended)
        quiet_.broadcast(); // end() waits for it, whatever is left
    else if (waiting_ > 0)
        turn_.signal();
    else if (!anything_pending())
        quiet_.broadcast();
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
    if (!gathering_ && !writing_ && waiting_ == 0 && state() != State::ended && anything_pending())
        write_some({});
}

// Writes what is pending, and frame behind it, as far as it can leave without waiting;
// the rest stays pending, and is the flusher's. The turn must be free.
void Outbox::write_some(Frame frame)
{
    writing_ = true;
    do {
        load_in_flight();
        std::array<iovec, 3> parts{part(in_flight_), part(frame.header), part(frame.payload)};
        mutex_.unlock();
        const ssize_t n = transport_.write_some(parts.data(), 3);
        const int error = n < 0 ? errno : 0;
        mutex_.lock();
        if (error != 0 && error != EAGAIN)
            fail(error);
        if (state() == State::ended)
            break; // nothing is kept of a connection that was dropped meanwhile
        const size_t written = n > 0 ? static_cast<size_t>(n) : 0;
        const size_t total = in_flight_.size() + frame.size();
        totals_.bytes += written;
        if (written < total) {
            put_back(written, frame);
            if (state() != State::ended && !std::exchange(flush_posted_, true))
                dispatcher_.post(flusher_);
            break;
        }
        frame = {};
    } while (!gathering_ && waiting_ == 0 && state() != State::ended && anything_pending());
    in_flight_.clear();
    writing_ = false;
    announce_turn();
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
}

void Outbox::begin_batch()
{
    Lock lock(mutex_);
    gathering_ = true;
}

void Outbox::end_batch()
{
    Lock lock(mutex_);
    gathering_ = false;
    if (!flush_posted_)
        flush_pending(kNever);
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

void Outbox::drain(TimePoint deadline)
{
    Lock lock(mutex_);
    flush_pending(deadline);
    bool in_time = true;
    while (in_time && writing_ && state() != State::ended)
        in_time = quiet_.wait_until(mutex_, deadline);
}

void Outbox::fail(int error)
{
    if (state() == State::ended)
        return;
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
    transport_.shut();
    while (writing_)
        quiet_.wait(mutex_);
}

void Outbox::end_locked()
{
    state_ = State::ended;
    has_pong_ = false;
    std::vector<uint8_t>().swap(pending_);
    std::vector<uint8_t>().swap(held_);
    turn_.broadcast();
    quiet_.broadcast();
}

} // namespace websock
