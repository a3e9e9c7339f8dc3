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
    ++turn_waiters_;
    while (turn_ != Turn::reserved && state() != State::ended)
        turn_given_.wait(mutex_);
    --turn_waiters_;
    if (turn_ == Turn::reserved) {
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
    for (int round = 0; round < kRounds && writable && turn_waiters_ == 0 && may_flush(); ++round)
        writable = write_some({});
    give_back_buffer();
    if (turn_waiters_ > 0 && state() != State::ended) {
        turn_ = Turn::reserved;
        turn_given_.signal();
        return;
    }
    turn_ = Turn::free;
    if (state() != State::ended && has_pending_locked()) {
        if (may_flush() || unwritten() > 0)
            leave_to_flusher();
        return;
    }
    if (left_to_flusher_.exchange(false))
        flusher_.forget(*this);
    callback_bytes_ = 0;
    resume_owner_if_written();
    wake_quiet_waiters();
}

// Not what a batch still gathers, and nothing behind our end.
bool Outbox::may_flush() const
{
    return !gathering_ && !writing_ended_ && state() != State::ended && has_pending_locked();
}

void Outbox::flush_if_due()
{
    if (turn_ == Turn::free && !left_to_flusher_ && may_flush())
        write_now({});
}

void Outbox::leave_to_flusher()
{
    left_to_flusher_ = true;
    const bool writable = !transport_.needs_input();
    if (const int error = flusher_.watch(*this, transport_.fd(), writable); error != 0)
        fail(error);
}

void Outbox::flush() noexcept
{
    Lock lock(mutex_);
    if (!left_to_flusher_)
        return;
    if (turn_ == Turn::free)
        return write_now({});
    left_to_flusher_ = false; // whoever has the turn sees to it
    flusher_.forget(*this);
}

// The turn must be free. What cannot leave at once is left to the Flusher.
void Outbox::write_now(Frame frame)
{
    turn_ = Turn::taken;
    pass_turn(write_some(frame));
}

// Makes to_write_ what leaves next. Only the holder of the turn, as all of these.
void Outbox::take_up_queue()
{
    if (unwritten() > 0)
        return;
    queue_pong();
    to_write_.clear();
    written_ = 0;
    to_write_.swap(queue_);
    ++loads_;
}

// Writes what is in flight, or else pending, and frame behind it, as far as it can leave
// without waiting; keeps the rest. Whether all of it has left.
bool Outbox::write_some(Frame frame)
{
    take_up_queue();
    const std::array<iovec, 3> parts{part(std::span(to_write_).subspan(written_)),
                                     part(frame.header), part(frame.payload)};
    const size_t bytes = size_of(parts);
    transport_wants_write_ = false; // unless it becomes so meanwhile

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

    transport_wants_write_ = transport_wants_write_ || unsent;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended) // nothing is kept of a connection that has
        return false;
    totals_.bytes += written;
    keep_rest(written, frame);
    resume_owner_if_written();
    return all;
}

// What was not written of them stays in flight.
void Outbox::keep_rest(size_t written, Frame frame)
{
    const size_t of_in_flight = std::min(written, unwritten());
    written_ += of_in_flight;
    written -= of_in_flight;
    if (written == frame.size())
        return;
    if (unwritten() == 0) {
        to_write_.clear();
        written_ = 0;
    }
    const size_t of_header = std::min(written, frame.header.size());
    const auto header = frame.header.subspan(of_header);
    const auto payload = frame.payload.subspan(written - of_header);
    try {
        to_write_.reserve(to_write_.size() + header.size() + payload.size());
    } catch (const std::bad_alloc &) {
        fail(ENOMEM); // half a frame cannot be taken back
        return;
    }
    to_write_.insert(to_write_.end(), header.begin(), header.end());
    to_write_.insert(to_write_.end(), payload.begin(), payload.end());
}

// Writes what is in flight and pending, and frame behind it; waits while the peer does not
// read. Only the holder of the turn.
int Outbox::write(Frame frame)
{
    if (unwritten() > 0 && !queue_.empty()) {
        if (const int error = write_out({}, 0); error != 0)
            return error;
    }
    return write_out(frame, may_leave_bytes());
}

// The same, with one of both before frame. may_leave: so much of it may be left to the Flusher
// instead of waiting.
int Outbox::write_out(Frame frame, size_t may_leave)
{
    take_up_queue();
    std::array<iovec, 3> parts{part(std::span(to_write_).subspan(written_)), part(frame.header),
                               part(frame.payload)};
    const size_t bytes = size_of(parts);
    transport_wants_write_ = false;

    mutex_.unlock();
    std::span<iovec> left = parts;
    const int error = write_all(left, may_leave);
    const size_t written = bytes - size_of(left);
    const bool unsent = transport_.unsent();
    mutex_.lock();

    transport_wants_write_ = transport_wants_write_ || unsent;
    totals_.bytes += written;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended) {
        if (error == 0)
            return 0; // all of it had left before
        return totals_.timed_out ? ETIMEDOUT : ENOTCONN;
    }
    if (error == EAGAIN)
        callback_.has_left_frame = true;
    else
        callback_bytes_ = 0;
    keep_rest(written, frame);
    resume_owner_if_written();
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
void Outbox::give_back_buffer()
{
    if (unwritten() > 0 && state() != State::ended)
        return;
    to_write_.clear();
    written_ = 0;
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && lent->capacity() < to_write_.capacity() && to_write_.capacity() <= kLentCapacity)
        to_write_.swap(*lent);
    if (to_write_.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(to_write_);
}

bool Outbox::end_batch_or_suspend()
{
    Lock lock(mutex_);
    gathering_ = false;
    flush_if_due();
    lent_.store(nullptr, std::memory_order_relaxed);
    return !suspend_locked();
}

bool Outbox::suspend_if_backed_up()
{
    Lock lock(mutex_);
    return suspend_locked();
}

bool Outbox::suspend_locked()
{
    suspended_ = is_backed_up_locked();
    resume_after_load_ = loads_ + (queue_.empty() ? 0 : 1);
    return suspended_;
}

bool Outbox::is_backed_up()
{
    if (!left_to_flusher_.load(std::memory_order_relaxed))
        return false;
    Lock lock(mutex_);
    return is_backed_up_locked();
}

// Only what the peer has asked for by its own messages counts: who is sent much by others is
// heard all the same. Nor does what waits for a last fragment, which a callback may be to send.
bool Outbox::is_backed_up_locked() const
{
    return state() != State::ended && callback_bytes_ > allowed_backlog() &&
           queue_.size() + unwritten() > allowed_backlog();
}

// What has been added since then does not keep it waiting.
void Outbox::resume_owner_if_written()
{
    if (loads_ >= resume_after_load_ && unwritten() == 0 && !transport_wants_write_)
        resume_owner();
}

void Outbox::resume_owner()
{
    if (!std::exchange(suspended_, false))
        return;
    callback_bytes_ = 0; // what was sent meanwhile is for the next time
    owner_.resume_callbacks();
}

void Outbox::stop_gathering()
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
    while (in_time && state() != State::ended && (turn_ != Turn::free || has_pending_locked()))
        in_time = wait_for_quiet(deadline);
    end_writing(deadline);
}

// The end of our side, unless somebody is stuck in it, or something was to come before.
void Outbox::end_writing(TimePoint deadline)
{
    const bool may = turn_ == Turn::free && !has_pending_locked() && drop_reason_.empty();
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
    has_pong_ = transport_wants_write_ = false;
    std::vector<uint8_t>().swap(queue_);
    std::vector<uint8_t>().swap(behind_fragments_);
    if (turn_ == Turn::free)
        give_back_buffer();
    if (left_to_flusher_.exchange(false))
        flusher_.forget(*this);
    resume_owner();
    turn_given_.broadcast();
    wake_quiet_waiters();
}

} // namespace websock
