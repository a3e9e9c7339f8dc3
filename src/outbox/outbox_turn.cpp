// outbox_turn.cpp: how what is queued leaves: whose turn it is to write, how long that thread
// waits for the peer, and what it leaves to the Flusher. See outbox.h.
#include "outbox/outbox.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace websock {

namespace {

// What an idle connection keeps of its buffers.
constexpr size_t kKeptCapacity = 1024;
// What a worker keeps of its own: a batch gathers 16 KiB, and a vector grows by doubling.
constexpr size_t kLentCapacity = 32 * 1024;
// How often one thread writes what others have queued meanwhile.
constexpr int kRounds = 4;
// How long a worker that nobody else wants waits for a peer that reads: that is cheaper than to
// copy what is left.
constexpr int kPatienceMs = 2;
// Of what write_out() writes: begun_, to_write_, and a frame's header, payload, and what is behind.
constexpr size_t kParts = 5;

} // namespace

// Waits for the turn. 0, or why there is none. It needs no deadline: whoever holds the turn
// makes progress, or ends the connection.
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

// Writes what others have queued meanwhile, leaves to the Flusher what does not go, and frees
// the turn; but a thread that waits for the turn gets it at once, before any newcomer.
// writable: the transport may take more.
void Outbox::pass_turn(bool writable)
{
    for (int round = 0; round < kRounds && writable && turn_waiters_ == 0 && may_flush(); ++round)
        writable = has_bytes() ? write_out({}, Effort::once) == 0 : deliver_some();
    // Senders that always wait for the turn are not to keep it from what the source has.
    if (writable && turn_waiters_ > 0 && !has_bytes() && may_flush())
        (void)deliver_some();
    give_buffer_back();
    if (turn_waiters_ > 0 && state() != State::ended) {
        turn_ = Turn::reserved;
        turn_given_.signal();
        return;
    }
    turn_ = Turn::free;
    if (state() != State::ended && has_pending_locked()) {
        if (may_flush() || unwritten() > 0 || begun_)
            leave_to_flusher();
        return;
    }
    take_from_flusher();
    callback_bytes_ = 0;
    resume_owner_if_due();
    wake_quiet_waiters();
}

// What a batch still gathers stays, and nothing follows our end.
bool Outbox::may_flush() const
{
    return !gathering_ && !writing_ended_ && state() != State::ended && has_pending_locked();
}

void Outbox::flush_if_due()
{
    if (turn_ == Turn::free && !left_to_flusher_ && may_flush())
        write_now({});
}

void Outbox::flush_transport()
{
    Lock lock(mutex_);
    // While the state is opening, the connection's thread alone writes, and past this outbox.
    if (state() == State::opening || state() == State::ended)
        return;
    transport_wants_write_ = true;
    if (turn_ != Turn::free)
        return;
    if (may_flush())
        write_now({});
    else if (left_to_flusher_)
        leave_to_flusher(); // what was just read may be what that has waited for
}

void Outbox::leave_to_flusher()
{
    left_to_flusher_ = true;
    const bool when_writable = !transport_.needs_input();
    if (const int error = flusher_.watch(*this, transport_.fd(), when_writable); error != 0)
        fail(error);
}

void Outbox::take_from_flusher()
{
    if (left_to_flusher_ && left_to_flusher_.exchange(false))
        flusher_.forget(*this);
}

void Outbox::flush() noexcept
{
    Lock lock(mutex_);
    if (turn_ != Turn::free)
        take_from_flusher(); // whoever has the turn sees to it
    else if (left_to_flusher_)
        write_now({});
}

// Writes what can leave at once, and leaves the rest to the Flusher. The turn must be free.
void Outbox::write_now(Frame frame)
{
    turn_ = Turn::taken;
    const bool writes = frame.size() > 0 || has_bytes();
    pass_turn(!writes || write_out(frame, Effort::once) == 0);
}

// From here on, all of these are for the holder of the turn. Until what waits leaves with one
// write, the frame behind it, and that has the form for this place. Waits while the peer does not
// read. Meanwhile others may begin or end fragments, so the frame is placed only after this.
int Outbox::make_way(Departing &out)
{
    for (;;) {
        if (const int error = compress(out); error != 0)
            return error;
        // What has left must not leave again, and nothing follows our Close.
        if (state() != State::open)
            return ENOTCONN;
        if (unwritten() == 0 || queue_.empty())
            return 0;
        if (const int error = write_out({}, Effort::all); error != 0)
            return error;
    }
}

// Writes all that waits, and the frame behind it, and waits while the peer does not read; what a
// callback may leave is left.
int Outbox::write(const Departing &out, std::span<const uint8_t> behind)
{
    note_place(out);
    Frame frame = out.frame();
    frame.behind = behind;
    const int error = write_out(frame, Effort::all, may_leave_bytes());
    if (error != EAGAIN)
        return error;
    RunningCallback::current.has_left_frame = true;
    return 0;
}

// RFC 6455 6.1: "The frame(s) that have been formed MUST be transmitted ..."
// Writes to_write_, or queue_ if that is empty, and frame behind it, and keeps what is left of
// them. 0: all has left. EAGAIN: some is left, with Effort::all at most may_leave bytes. Any
// other errno value: the connection has ended.
int Outbox::write_out(Frame frame, Effort effort, size_t may_leave)
{
    load_queue();
    std::array<iovec, kParts> parts{
        part_of(rest_of_begun()), part_of(std::span(to_write_).subspan(written_)),
        part_of(frame.header), part_of(frame.payload), part_of(frame.behind)};
    const size_t total = size_of(parts);
    std::span<iovec> rest = std::span(parts).subspan(begun_ ? 0 : 1);
    transport_wants_write_ = false; // unless flush_transport() is called meanwhile

    mutex_.unlock();
    size_t bytes = total;
    const int error = write_parts(rest, bytes, effort, may_leave);
    const bool unsent = error != 0 && transport_.unsent();
    mutex_.lock();

    transport_wants_write_ = transport_wants_write_ || unsent;
    totals_.bytes += total - bytes;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended) // 0: all had left before
        return error == 0 ? 0 : totals_.timed_out ? ETIMEDOUT : ENOTCONN;
    if (error == 0 && effort == Effort::all)
        callback_bytes_ = 0;
    if (bytes == 0) {
        written_ = to_write_.size();
        begun_ = nullptr;
    } else {
        keep(rest);
    }
    resume_owner_if_due();
    return state() == State::ended ? ENOMEM : error;
}

// Writes parts, which hold so many bytes, and takes what it has written from both; but when all
// is written, parts stay. Returns what write_out() does. Without the lock.
int Outbox::write_parts(std::span<iovec> &parts, size_t &bytes, Effort effort, size_t may_leave)
{
    for (;;) {
        const ssize_t n = transport_.write_some(parts.data(), static_cast<int>(parts.size()));
        const int error = n < 0 ? errno : 0;
        if (error != 0 && error != EAGAIN)
            return error;
        const size_t written = n > 0 ? static_cast<size_t>(n) : 0;
        bytes -= written;
        if (error == 0 && bytes == 0 && !transport_.unsent()) {
            stall_.end();
            return 0;
        }
        parts = drop_written(parts, written);
        if (error == 0 && effort == Effort::all)
            continue;
        if (stall_.is_over(transport_.outgoing(), limits_.send_timeout_ms))
            return ETIMEDOUT;
        const bool may_go = may_leave > 0 && bytes <= may_leave;
        if (effort == Effort::once || (may_go && dispatcher_.has_waiting()))
            return EAGAIN;
        const int waited = transport_.wait_writable(
            in_ms(may_go ? kPatienceMs : Stall::look_ms(limits_.send_timeout_ms)));
        if (waited == ETIMEDOUT && may_go)
            return EAGAIN;
        if (waited != 0 && waited != ETIMEDOUT)
            return waited;
    }
}

// Makes queue_ what leaves next, unless something comes before it. A Pong and a Ping do not wait
// for messages_: a client that is sent much may always have some.
void Outbox::load_queue()
{
    if (unwritten() > 0)
        return;
    to_write_.clear();
    written_ = 0;
    if (!messages_.empty())
        return add_pong_and_ping(to_write_);
    add_pong_and_ping(queue_);
    to_write_.swap(queue_);
    ++loads_;
}

// rest is what has not left of begun_, to_write_, and a frame, which has three parts. What it has
// of the frame is added to to_write_.
void Outbox::keep(std::span<const iovec> rest)
{
    if (rest.size() == kParts) {
        begun_written_ = frame_of(*begun_).size() - rest.front().iov_len;
        rest = rest.subspan(1);
    } else {
        begun_ = nullptr;
    }
    const bool all = rest.size() < kParts - 1; // of to_write_ has left
    written_ = to_write_.size() - (all ? 0 : rest.front().iov_len);
    rest = all ? rest : rest.subspan(1);
    const size_t more = size_of(rest);
    if (more == 0)
        return;
    if (all) {
        to_write_.clear();
        written_ = 0;
    }
    try {
        to_write_.reserve(to_write_.size() + more);
    } catch (const std::bad_alloc &) {
        return fail(ENOMEM); // half a frame cannot be taken back
    }
    for (const iovec &part : rest) {
        const auto *bytes = static_cast<const uint8_t *>(part.iov_base);
        to_write_.insert(to_write_.end(), bytes, bytes + part.iov_len);
    }
}

// When all has left: memory is kept by those that use it often, workers rather than connections.
void Outbox::give_buffer_back()
{
    if (state() == State::ended)
        begun_ = nullptr;
    else if (unwritten() > 0)
        return;
    to_write_.clear();
    written_ = 0;
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && lent->capacity() < to_write_.capacity() && to_write_.capacity() <= kLentCapacity)
        to_write_.swap(*lent);
    if (to_write_.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(to_write_);
}

} // namespace websock
