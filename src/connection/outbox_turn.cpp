// outbox_turn.cpp: how what is to be sent leaves: who has the turn to write, what is left to
// the Flusher, and how the sending side ends. See outbox.h.
#include "connection/outbox.h"

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
// How often one thread writes what others have added meanwhile.
constexpr int kRounds = 4;
// How long a worker waits for a peer that reads, which is cheaper than to copy what is left,
// while nobody else waits for a worker.
constexpr int kPatienceMs = 2;

iovec part(std::span<const uint8_t> bytes)
{
    return {const_cast<uint8_t *>(bytes.data()), bytes.size()};
}

size_t size_of(std::span<const iovec> parts)
{
    size_t bytes = 0;
    for (const iovec &part : parts)
        bytes += part.iov_len;
    return bytes;
}

} // namespace

// Waits for the turn. 0, or why there is none. That needs no deadline: whoever has it makes
// progress, or ends the connection.
int Outbox::take_turn()
{
    if (state() == State::ended)
        return ENOTCONN;
    if (turn_ == Turn::free) {
        turn_ = Turn::taken;
        return 0;
    }
    ++waiting_;
    while (turn_ != Turn::offered && state() != State::ended)
        turn_given_.wait(mutex_);
    --waiting_;
    if (turn_ == Turn::offered) {
        turn_ = Turn::taken;
        if (state() != State::ended)
            return 0;
        pass_turn();
    }
    return totals_.timed_out ? ETIMEDOUT : ENOTCONN;
}

// Gives the turn to a thread that waits for it, before any that comes now; or back, when what
// others have added meanwhile has left, too, or is the Flusher's. writable: more can leave.
void Outbox::pass_turn(bool writable)
{
    for (int round = 0; round < kRounds && writable && waiting_ == 0 && may_flush(); ++round)
        writable = write_some({});
    tidy_in_flight();
    if (waiting_ > 0 && state() != State::ended) {
        turn_ = Turn::offered;
        turn_given_.signal();
        return;
    }
    turn_ = Turn::free;
    if (state() != State::ended && is_anything_left()) {
        if (may_flush() || unsent_in_flight() > 0)
            leave_to_flusher();
        return;
    }
    if (blocked_.exchange(false))
        flusher_.forget(*this);
    answer_bytes_ = 0;
    resume_owner_if_sent();
    wake_quiet_waiters();
}

// Not what a batch still gathers, and nothing behind our end.
bool Outbox::may_flush() const
{
    return !gathering_ && !writing_ended_ && state() != State::ended && is_anything_left();
}

void Outbox::flush_if_due()
{
    if (turn_ == Turn::free && !blocked_ && may_flush())
        write_now({});
}

void Outbox::leave_to_flusher()
{
    blocked_ = true;
    const bool writable = !transport_.needs_input();
    if (const int error = flusher_.watch(*this, transport_.fd(), writable); error != 0)
        fail(error);
}

void Outbox::flush() noexcept
{
    Lock lock(mutex_);
    if (!blocked_)
        return;
    if (turn_ == Turn::free)
        return write_now({});
    blocked_ = false; // whoever has the turn sees to it
    flusher_.forget(*this);
}

// The turn must be free. What cannot leave at once is left to the Flusher.
void Outbox::write_now(Frame frame)
{
    turn_ = Turn::taken;
    pass_turn(write_some(frame));
}

// Makes in_flight_ what leaves next. Only the holder of the turn, as all of these.
void Outbox::load_in_flight()
{
    if (unsent_in_flight() > 0)
        return;
    queue_pong();
    in_flight_.clear();
    sent_ = 0;
    in_flight_.swap(pending_);
    ++loads_;
}

// Writes what is in flight, or else pending, and frame behind it, as far as it can leave
// without waiting; keeps the rest. Whether all of it has left.
bool Outbox::write_some(Frame frame)
{
    load_in_flight();
    const std::array<iovec, 3> parts{part(std::span(in_flight_).subspan(sent_)), part(frame.header),
                                     part(frame.payload)};
    const size_t bytes = size_of(parts);
    unsent_ = false; // unless it becomes so meanwhile

    mutex_.unlock();
    const ssize_t n = transport_.write_some(parts.data(), 3);
    int error = n < 0 ? errno : 0;
    const size_t written = n > 0 ? static_cast<size_t>(n) : 0;
    const bool unsent = transport_.unsent();
    const bool all = error == 0 && written == bytes && !unsent;
    if (all)
        stall_.end();
    else if ((error == 0 || error == EAGAIN) &&
             stall_.is_over(transport_.outgoing(), limits_.send_timeout_ms))
        error = ETIMEDOUT;
    mutex_.lock();

    unsent_ = unsent_ || unsent;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended) // nothing is kept of a connection that has
        return false;
    totals_.bytes += written;
    keep_rest(written, frame);
    resume_owner_if_sent();
    return all;
}

// What was not written of them stays in flight.
void Outbox::keep_rest(size_t written, Frame frame)
{
    const size_t of_in_flight = std::min(written, unsent_in_flight());
    sent_ += of_in_flight;
    written -= of_in_flight;
    if (written == frame.size())
        return;
    if (unsent_in_flight() == 0) {
        in_flight_.clear();
        sent_ = 0;
    }
    const size_t of_header = std::min(written, frame.header.size());
    const auto header = frame.header.subspan(of_header);
    const auto payload = frame.payload.subspan(written - of_header);
    try {
        in_flight_.reserve(in_flight_.size() + header.size() + payload.size());
    } catch (const std::bad_alloc &) {
        fail(ENOMEM); // half a frame cannot be taken back
        return;
    }
    in_flight_.insert(in_flight_.end(), header.begin(), header.end());
    in_flight_.insert(in_flight_.end(), payload.begin(), payload.end());
}

// Writes what is in flight and pending, and frame behind it; waits while the peer does not
// read. Only the holder of the turn.
int Outbox::write(Frame frame)
{
    if (unsent_in_flight() > 0 && !pending_.empty()) {
        if (const int error = write_out({}, 0); error != 0)
            return error;
    }
    return write_out(frame, room_for_answer());
}

// The same, with one of both before frame. may_leave: so much of it may be left to the Flusher
// instead of waiting.
int Outbox::write_out(Frame frame, size_t may_leave)
{
    load_in_flight();
    std::array<iovec, 3> parts{part(std::span(in_flight_).subspan(sent_)), part(frame.header),
                               part(frame.payload)};
    const size_t bytes = size_of(parts);
    unsent_ = false;

    mutex_.unlock();
    std::span<iovec> left = parts;
    const int error = write_all(left, may_leave);
    const size_t written = bytes - size_of(left);
    const bool unsent = transport_.unsent();
    mutex_.lock();

    unsent_ = unsent_ || unsent;
    totals_.bytes += written;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended) {
        if (error == 0)
            return 0; // all of it had left before
        return totals_.timed_out ? ETIMEDOUT : ENOTCONN;
    }
    if (error == EAGAIN)
        answering_.has_left_one = true;
    else
        answer_bytes_ = 0;
    keep_rest(written, frame);
    resume_owner_if_sent();
    return state() == State::ended ? ENOMEM : 0;
}

// Takes from parts what it has written. 0, EAGAIN when at most may_leave bytes are left that
// the peer does not take now, ETIMEDOUT or another errno value. The holder of the turn, without
// the lock.
int Outbox::write_all(std::span<iovec> &parts, size_t may_leave)
{
    parts = drop_written(parts, 0);
    while (!parts.empty() || transport_.unsent()) {
        const ssize_t n = transport_.write_some(parts.data(), static_cast<int>(parts.size()));
        if (n >= 0) {
            parts = drop_written(parts, static_cast<size_t>(n));
            continue;
        }
        if (errno != EAGAIN)
            return errno;
        if (stall_.is_over(transport_.outgoing(), limits_.send_timeout_ms))
            return ETIMEDOUT;
        const bool may_go = may_leave > 0 && size_of(parts) <= may_leave;
        if (may_go && dispatcher_.has_waiting())
            return EAGAIN;
        const int error = transport_.wait_writable(
            in_ms(may_go ? kPatienceMs : Stall::look_ms(limits_.send_timeout_ms)));
        if (error == ETIMEDOUT && may_go)
            return EAGAIN;
        if (error != 0 && error != ETIMEDOUT)
            return error;
    }
    stall_.end();
    return 0;
}

// Memory is kept by those that use it often: workers more than connections.
void Outbox::tidy_in_flight()
{
    if (unsent_in_flight() > 0 && state() != State::ended)
        return;
    in_flight_.clear();
    sent_ = 0;
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && lent->capacity() < in_flight_.capacity() && in_flight_.capacity() <= kLentCapacity)
        in_flight_.swap(*lent);
    if (in_flight_.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(in_flight_);
}

bool Outbox::end_batch()
{
    Lock lock(mutex_);
    gathering_ = false;
    flush_if_due();
    lent_.store(nullptr, std::memory_order_relaxed);
    return !suspend_locked();
}

bool Outbox::suspend()
{
    Lock lock(mutex_);
    return suspend_locked();
}

bool Outbox::suspend_locked()
{
    suspended_ = is_backed_up_locked();
    loads_until_ = loads_ + (pending_.empty() ? 0 : 1);
    return suspended_;
}

bool Outbox::is_backed_up()
{
    if (!blocked_.load(std::memory_order_relaxed))
        return false;
    Lock lock(mutex_);
    return is_backed_up_locked();
}

// Only what the peer has asked for by its own messages counts: who is sent much by others is
// heard all the same. Nor does what waits for a last fragment, which a callback may be to send.
bool Outbox::is_backed_up_locked() const
{
    return state() != State::ended && answer_bytes_ > backlog() &&
           pending_.size() + unsent_in_flight() > backlog();
}

// What has been added since then does not keep it waiting.
void Outbox::resume_owner_if_sent()
{
    if (loads_ >= loads_until_ && unsent_in_flight() == 0 && !unsent_)
        resume_owner();
}

void Outbox::resume_owner()
{
    if (!std::exchange(suspended_, false))
        return;
    answer_bytes_ = 0; // what was sent meanwhile is for the next time
    owner_.drained();
}

void Outbox::hurry()
{
    Lock lock(mutex_);
    gathering_ = false;
    flush_if_due();
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

void Outbox::finish(TimePoint deadline)
{
    Lock lock(mutex_);
    gathering_ = false;
    flush_if_due();
    bool in_time = true;
    while (in_time && state() != State::ended && (turn_ != Turn::free || is_anything_left()))
        in_time = wait_for_quiet(deadline);
    end_writing(deadline);
}

// The end of our side, unless somebody is stuck in it, or something was to come before.
void Outbox::end_writing(TimePoint deadline)
{
    const bool may = turn_ == Turn::free && !is_anything_left() && drop_reason_.empty();
    if (!may || std::exchange(writing_ended_, true))
        return;
    turn_ = Turn::taken;
    mutex_.unlock();
    transport_.end_writing(deadline);
    mutex_.lock();
    pass_turn();
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
    end_writing(TimePoint{}); // what does not leave at once is lost
    if (turn_ != Turn::free || !writing_ended_)
        transport_.shut();
    while (turn_ != Turn::free)
        (void)wait_for_quiet(kNever);
}

void Outbox::end_locked()
{
    state_ = State::ended;
    has_pong_ = unsent_ = false;
    std::vector<uint8_t>().swap(pending_);
    std::vector<uint8_t>().swap(held_);
    if (turn_ == Turn::free)
        tidy_in_flight();
    if (blocked_.exchange(false))
        flusher_.forget(*this);
    resume_owner();
    turn_given_.broadcast();
    wake_quiet_waiters();
}

} // namespace websock
