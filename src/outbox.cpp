// outbox.cpp: see outbox.h.
#include "outbox.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace websock {

namespace {

// Gathered frames leave at this size at the latest: about what one sendmsg can carry
// at the price of a small one.
constexpr size_t kGatherBytes = 16 * 1024;
// What an idle connection keeps of its buffers.
constexpr size_t kKeptCapacity = 1024;

void append(std::vector<uint8_t> &bytes, std::span<const uint8_t> more)
{
    bytes.insert(bytes.end(), more.begin(), more.end());
}

iovec part(std::span<const uint8_t> bytes)
{
    return {const_cast<uint8_t *>(bytes.data()), bytes.size()};
}

} // namespace

int Outbox::open(std::string_view response, TimePoint deadline)
{
    Lock lock(mutex_);
    if (state() != State::opening)
        return ENOTCONN;
    pending_.assign(response.begin(), response.end());
    state_ = State::open;
    flush_pending(deadline);
    return state() == State::ended ? ENOTCONN : 0;
}

int Outbox::send(bool fin, Opcode opcode, std::span<const uint8_t> payload)
{
    std::array<uint8_t, kMaxServerHeader> header;
    const size_t header_len = encode_header(header.data(), fin, opcode, payload.size());
    const Frame frame{std::span(header).first(header_len), payload};

    Lock lock(mutex_);
    if (state() != State::open)
        return ENOTCONN;
    if (gathering_ && pending_.size() + frame.size() <= kGatherBytes)
        return place(frame, fin, opcode, nullptr);
    const TimePoint deadline = in_ms(limits_.send_timeout_ms);
    if (const int error = take_turn(deadline); error != 0)
        return error;
    // A Close may have been queued meanwhile, and nothing may follow it.
    const int error = state() == State::open ? place(frame, fin, opcode, &deadline) : ENOTCONN;
    pass_turn();
    return error;
}

// Gives a frame its place among the others, which is what decides about fragments: in
// pending_, or, for the holder of the turn, who has a deadline, on the wire.
int Outbox::place(Frame frame, bool fin, Opcode opcode, const TimePoint *deadline)
{
    const auto fragments = fragments_;
    try {
        if (is_control(opcode))
            return deadline ? write(frame, *deadline) : gather(frame);
        if (fragments_.under_way && fin && opcode != Opcode::continuation)
            return hold(frame);
        if (const int error = advance_fragments(fin, opcode, frame.payload); error != 0)
            return error;
        totals_.messages += fin;
        if (!fin || held_.empty())
            return deadline ? write(frame, *deadline) : gather(frame);
        // The last fragment, and behind it what has waited for it.
        held_.insert(held_.begin(), frame.payload.begin(), frame.payload.end());
        std::vector<uint8_t> payload;
        payload.swap(held_);
        return deadline ? write({frame.header, payload}, *deadline)
                        : gather({frame.header, payload});
    } catch (const std::bad_alloc &) {
        fragments_ = fragments; // nothing was sent
        return ENOMEM;
    }
}

// RFC 6455 5.4: the fragments of one message follow each other.
int Outbox::advance_fragments(bool fin, Opcode opcode, std::span<const uint8_t> payload)
{
    const bool continues = opcode == Opcode::continuation;
    if (continues != fragments_.under_way)
        return EINVAL;
    if (!continues && fin)
        return 0;
    auto next = fragments_;
    if (!continues) {
        next.text = opcode == Opcode::text;
        next.utf8.reset();
    }
    if (next.text && (!next.utf8.feed(payload) || (fin && !next.utf8.complete())))
        return EILSEQ;
    next.under_way = !fin;
    fragments_ = next;
    return 0;
}

// Keeps a whole message until the fragmented one is finished.
int Outbox::hold(Frame frame)
{
    if (queued_bytes() + frame.size() > limits_.max_queued_bytes)
        return ENOBUFS;
    held_.reserve(held_.size() + frame.size());
    append(held_, frame.header);
    append(held_, frame.payload);
    ++totals_.messages;
    return 0;
}

// Leaves with the rest of its batch. Throws std::bad_alloc with nothing added.
int Outbox::gather(Frame frame)
{
    const size_t size = pending_.size() + frame.size();
    if (pending_.capacity() < size)
        pending_.reserve(std::max(size, std::min(2 * pending_.capacity(), kGatherBytes)));
    append(pending_, frame.header);
    append(pending_, frame.payload);
    return 0;
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
    if (waiting_ > 0 && state() != State::ended)
        turn_.signal();
    else if (!anything_pending())
        quiet_.broadcast();
}

void Outbox::flush_if_due()
{
    if (!gathering_ && !writing_ && waiting_ == 0 && state() != State::ended && anything_pending())
        write_some({});
}

// Makes in_flight_ what leaves next. Only the holder of the turn.
void Outbox::load_in_flight()
{
    queue_pong();
    in_flight_.clear();
    in_flight_.swap(pending_);
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
        if (error != 0 && error != EAGAIN) {
            fail(error);
            break;
        }
        const size_t written = n > 0 ? static_cast<size_t>(n) : 0;
        const size_t total = in_flight_.size() + frame.size();
        totals_.bytes += written;
        if (written < total) {
            put_back(written, frame);
            if (!flush_posted_ && state() != State::ended) {
                flush_posted_ = true;
                dispatcher_.post(flusher_);
            }
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
        append(rest, pending_);
    } catch (const std::bad_alloc &) {
        fail(ENOMEM); // half a frame cannot be taken back
        return;
    }
    pending_.swap(rest);
}

int Outbox::offer(std::span<const uint8_t> bytes)
{
    const Frame frame{bytes, {}};
    Lock lock(mutex_);
    if (state() != State::open)
        return ENOTCONN;
    try {
        const size_t queued = queued_bytes();
        const bool must_queue = queued > 0 || fragments_.under_way;
        if (must_queue && queued + bytes.size() > limits_.max_queued_bytes) {
            (void)close_locked(1008, "does not read what it is sent");
            return ENOBUFS;
        }
        if (fragments_.under_way)
            return hold(frame); // there is room: that was just looked at
        const bool gather = gathering_ && pending_.size() + bytes.size() <= kGatherBytes;
        if (writing_ || waiting_ > 0 || gather)
            append(pending_, bytes);
        else
            write_some(frame);
        ++totals_.messages;
        return 0;
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    }
}

int Outbox::close(uint16_t code, std::string_view reason)
{
    Lock lock(mutex_);
    if (state() != State::open)
        return ENOTCONN;
    try {
        return close_locked(code, reason);
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    }
}

int Outbox::close_locked(uint16_t code, std::string_view reason)
{
    std::array<uint8_t, kMaxControlPayload> payload;
    const size_t len = encode_close(payload.data(), code, reason);
    queue_pong();
    queue_control(Opcode::close, std::span(payload).first(len));
    state_ = State::closing;
    quiet_.broadcast();
    flush_if_due();
    return 0;
}

void Outbox::wait_for_close()
{
    Lock lock(mutex_);
    while (state() == State::open)
        quiet_.wait(mutex_);
}

void Outbox::pong(std::span<const uint8_t> payload)
{
    Lock lock(mutex_);
    if (state() != State::open)
        return;
    std::copy(payload.begin(), payload.end(), pong_.begin());
    pong_len_ = static_cast<uint8_t>(payload.size());
    has_pong_ = true;
    flush_if_due();
}

void Outbox::ping()
{
    Lock lock(mutex_);
    if (state() != State::open)
        return;
    queue_control(Opcode::ping, {});
    flush_if_due();
}

// Throws std::bad_alloc.
void Outbox::queue_control(Opcode opcode, std::span<const uint8_t> payload)
{
    std::array<uint8_t, kMaxServerHeader> header;
    const size_t header_len = encode_header(header.data(), true, opcode, payload.size());
    pending_.reserve(pending_.size() + header_len + payload.size());
    append(pending_, std::span(header).first(header_len));
    append(pending_, payload);
}

void Outbox::queue_pong()
{
    if (!has_pong_)
        return;
    has_pong_ = false;
    if (state() != State::open)
        return; // no frame follows our Close
    try {
        queue_control(Opcode::pong, std::span(pong_).first(pong_len_));
    } catch (const std::bad_alloc &) {
        // The peer may ask again.
    }
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

std::string Outbox::drop_reason()
{
    Lock lock(mutex_);
    return drop_reason_;
}

Outbox::Totals Outbox::totals()
{
    Lock lock(mutex_);
    return totals_;
}

void Outbox::count_bytes(size_t n)
{
    Lock lock(mutex_);
    totals_.bytes += n;
}

} // namespace websock
