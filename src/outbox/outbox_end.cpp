// outbox_end.cpp: how the sending side ends: politely, or cut off. See outbox.h.
#include "outbox/outbox.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

namespace websock {

// How long the end of a connection that its peer has broken waits for whoever is writing.
constexpr int kWriterMs = 100;

void Outbox::wait_for_close()
{
    Lock lock(mutex_);
    while (state() == State::open)
        (void)wait_for_quiet(kNever);
}

void Outbox::finish(TimePoint deadline)
{
    Lock lock(mutex_);
    stop_gathering_locked();
    bool in_time = true;
    while (in_time && state() != State::ended && (turn_ != Turn::free || has_pending_locked()))
        in_time = wait_for_quiet(deadline);
    end_writing(deadline);
}

// Unless a thread is still writing, or something would have to leave first.
void Outbox::end_writing(TimePoint deadline)
{
    const bool may_end = turn_ == Turn::free && !has_pending_locked() && drop_reason_.empty();
    if (!may_end || std::exchange(writing_ended_, true))
        return;
    turn_ = Turn::taken;
    mutex_.unlock();
    transport_.end_writing(deadline);
    mutex_.lock();
    pass_turn();
}

// An errno value has come of writing.
void Outbox::fail(int error)
{
    if (state() == State::ended)
        return;
    totals_.timed_out = error == ETIMEDOUT;
    std::array<char, 128> reason;
    if (totals_.timed_out)
        (void)std::snprintf(reason.data(), reason.size(), "did not read for %d ms",
                            limits_.send_timeout_ms);
    else
        (void)std::snprintf(reason.data(), reason.size(), "write: %s", std::strerror(error));
    const bool by_peer = !totals_.timed_out && error != ENOMEM;
    drop_locked(reason.data(), by_peer ? By::peer : By::library);
}

void Outbox::drop(std::string_view reason, By by)
{
    Lock lock(mutex_);
    drop_locked(reason, by);
}

void Outbox::drop_locked(std::string_view reason, By by)
{
    if (state() == State::ended)
        return;
    note_end(by);
    try {
        if (drop_reason_.empty())
            drop_reason_ = reason;
    } catch (const std::bad_alloc &) {
        // It ends without one.
    }
    transport_.abort();
    end_locked();
}

std::string Outbox::drop_reason()
{
    Lock lock(mutex_);
    return drop_reason_;
}

void Outbox::get_end(End &end)
{
    Lock lock(mutex_);
    end.by = end_.by;
    end.code = end_.code;
    end.reason = end_.reason;
}

void Outbox::end()
{
    Lock lock(mutex_);
    if (state() != State::ended)
        end_locked();
    // TLS may have an alert to send, and a writer that does not wait for the peer is soon done.
    const TimePoint deadline = in_ms(kWriterMs);
    while (turn_ != Turn::free && wait_for_quiet(deadline)) {
    }
    end_writing(TimePoint{}); // what does not leave at once is lost
    if (turn_ != Turn::free || !writing_ended_)
        transport_.shut();
    while (turn_ != Turn::free)
        (void)wait_for_quiet(kNever);
}

void Outbox::end_locked()
{
    state_ = State::ended;
    has_pong_ = has_ping_ = transport_wants_write_ = source_has_items_ = false;
    std::vector<uint8_t>().swap(queue_);
    std::vector<uint8_t>().swap(behind_fragments_);
    messages_.clear();
    if (turn_ == Turn::free)
        give_buffer_back();
    take_from_flusher();
    resume_owner_if_due();
    turn_given_.broadcast();
    wake_quiet_waiters();
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

} // namespace websock
