// outbox.cpp: what is to be sent, and in which order; how it leaves is in
// outbox_turn.cpp. See outbox.h.
#include "outbox.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace websock {

namespace {

// Gathered frames leave at this size at the latest: about what one sendmsg can carry
// at the price of a small one.
constexpr size_t kGatherBytes = 16 * 1024;

// Of a whole frame of ours, which is not masked.
size_t payload_len_of(std::span<const uint8_t> frame)
{
    const size_t header_len = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
    return frame.size() - header_len;
}

void append(std::vector<uint8_t> &bytes, std::span<const uint8_t> more)
{
    bytes.insert(bytes.end(), more.begin(), more.end());
}

} // namespace

int Outbox::open(std::string_view response, TimePoint deadline)
{
    Lock lock(mutex_);
    if (state() != State::opening)
        return ENOTCONN;
    if (const int error = take_turn(deadline); error != 0)
        return error;
    state_ = State::open;
    const auto *bytes = reinterpret_cast<const uint8_t *>(response.data());
    const int error = write({std::span(bytes, response.size()), {}}, deadline);
    pass_turn();
    return error == 0 ? 0 : ENOTCONN;
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
        trace_.add(frame.header[0], frame.payload.size(), coarse_ms());
        if (is_control(opcode))
            return deadline ? write(frame, *deadline) : gather(frame);
        if (fragments_.under_way && fin && opcode != Opcode::continuation)
            return hold(frame);
        if (const int error = advance_fragments(fin, opcode, frame.payload); error != 0)
            return error;
        const bool releases = fin && !held_.empty();
        const int error = releases   ? release_held(frame, deadline)
                          : deadline ? write(frame, *deadline)
                                     : gather(frame);
        totals_.messages += fin;
        return error;
    } catch (const std::bad_alloc &) {
        fragments_ = fragments; // nothing was sent
        return ENOMEM;
    }
}

// The last fragment, and behind it what has waited for it. Throws std::bad_alloc with
// nothing changed.
int Outbox::release_held(Frame frame, const TimePoint *deadline)
{
    std::vector<uint8_t> payload;
    payload.reserve(frame.payload.size() + held_.size());
    append(payload, frame.payload);
    append(payload, held_);
    const Frame all{frame.header, payload};
    if (!deadline)
        (void)gather(all);
    std::vector<uint8_t>().swap(held_);
    return deadline ? write(all, *deadline) : 0;
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
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && pending_.empty() && lent->capacity() > pending_.capacity())
        pending_.swap(*lent);
    const size_t size = pending_.size() + frame.size();
    if (pending_.capacity() < size)
        pending_.reserve(std::max(size, std::min(2 * pending_.capacity(), kGatherBytes)));
    append(pending_, frame.header);
    append(pending_, frame.payload);
    return 0;
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
            (void)close_locked(1008, "does not read what it is sent", true);
            return ENOBUFS;
        }
        if (fragments_.under_way)
            return hold(frame); // there is room: that was just looked at
        const bool gather = gathering_ && pending_.size() + bytes.size() <= kGatherBytes;
        if (writing_ || flush_posted_ || gather)
            append(pending_, bytes);
        else
            write_some(frame);
        trace_.add(bytes[0], payload_len_of(bytes), coarse_ms());
        ++totals_.messages;
        return 0;
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    }
}

int Outbox::close(uint16_t code, std::string_view reason, bool expires)
{
    Lock lock(mutex_);
    return state() == State::open ? close_locked(code, reason, expires) : ENOTCONN;
}

// What is to be closed does not stay for want of memory: then it is cut off.
int Outbox::close_locked(uint16_t code, std::string_view reason, bool expires)
{
    std::array<uint8_t, kMaxControlPayload> payload;
    const size_t len = encode_close(payload.data(), code, reason);
    try {
        queue_pong();
        queue_control(Opcode::close, std::span(payload).first(len));
    } catch (const std::bad_alloc &) {
        fail(ENOMEM);
        return ENOMEM;
    }
    state_ = State::closing;
    wake_quiet_waiters();
    gathering_ = false; // nothing more will be gathered
    flush_if_due();
    // Behind the flush, for close_timeout_ms may be 0. Then a Close that somebody else is
    // still in the way of is lost.
    if (expires && state() != State::ended)
        dispatcher_.expire_at(owner_, in_ms(limits_.close_timeout_ms));
    return 0;
}

void Outbox::wait_for_close()
{
    Lock lock(mutex_);
    while (state() == State::open)
        (void)wait_for_quiet(kNever);
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

void Outbox::nudge()
{
    Lock lock(mutex_);
    // While it is opening, its thread alone writes, and past this outbox.
    if (state() == State::opening || state() == State::ended)
        return;
    unsent_ = true;
    flush_if_due();
}

// Throws std::bad_alloc.
void Outbox::queue_control(Opcode opcode, std::span<const uint8_t> payload)
{
    std::array<uint8_t, kMaxServerHeader> header;
    const size_t header_len = encode_header(header.data(), true, opcode, payload.size());
    pending_.reserve(pending_.size() + header_len + payload.size());
    trace_.add(header[0], payload.size(), coarse_ms());
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

std::string Outbox::last_frames()
{
    Lock lock(mutex_);
    return trace_.text();
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
