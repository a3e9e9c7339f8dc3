// outbox.cpp: what is to be sent, and in which order; how it leaves is in
// outbox_turn.cpp. See outbox.h.
#include "connection/outbox.h"

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

// For so many bytes more, so that adding them cannot fail; by doubling, or many small ones
// would be copied again and again. Throws std::bad_alloc.
void make_room(std::vector<uint8_t> &bytes, size_t more)
{
    if (bytes.capacity() - bytes.size() < more)
        bytes.reserve(std::max(bytes.size() + more, 2 * bytes.capacity()));
}

} // namespace

thread_local constinit Outbox::Callback Outbox::callback_;

int Outbox::open(std::string_view response, TimePoint deadline)
{
    Lock lock(mutex_);
    if (state() != State::opening)
        return ENOTCONN;
    turn_ = Turn::taken;
    state_ = State::open;
    iovec part{const_cast<char *>(response.data()), response.size()};
    lock.unlock();
    const int error = transport_.write_all({&part, 1}, deadline);
    lock.lock();
    if (error == 0)
        totals_.bytes += response.size();
    else
        fail(error);
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
    if (in_callback())
        callback_bytes_ += frame.size();
    if (only_joins_queue(frame))
        return place(frame, fin, opcode, Way::enqueue);
    if (const int error = take_turn(); error != 0)
        return error;
    // A Close may have been queued meanwhile, and nothing may follow it.
    const int error = state() == State::open ? place(frame, fin, opcode, Way::write) : ENOTCONN;
    pass_turn();
    return error;
}

// Whether a frame only joins what is pending. A worker that would have to wait behind others
// leaves it there, too, as far as there is room: it has more to do than this peer's.
bool Outbox::only_joins_queue(Frame frame) const
{
    if (gathering_ && queue_.size() + frame.size() <= kGatherBytes)
        return true;
    const bool is_left =
        (left_to_flusher_ || turn_ != Turn::free) && frame.size() <= may_leave_bytes();
    callback_.has_left_frame = callback_.has_left_frame || is_left;
    return is_left;
}

// Gives a frame its place among the others, which is what decides about fragments: in
// queue_, or, for the holder of the turn, on the wire.
int Outbox::place(Frame frame, bool fin, Opcode opcode, Way way)
{
    const auto fragments = fragments_;
    try {
        trace_.add(frame.header[0], frame.payload.size(), coarse_ms());
        if (is_control(opcode))
            return add(frame, way);
        if (fragments_.under_way && fin && opcode != Opcode::continuation)
            return keep_behind_fragments(frame);
        if (const int error = advance_fragments(fin, opcode, frame.payload); error != 0)
            return error;
        const bool releases = fin && !behind_fragments_.empty();
        const int error = releases ? finish_fragments(frame, way) : add(frame, way);
        totals_.messages += fin;
        return error;
    } catch (const std::bad_alloc &) {
        fragments_ = fragments; // nothing was sent
        return ENOMEM;
    }
}

int Outbox::add(Frame frame, Way way) { return way == Way::write ? write(frame) : enqueue(frame); }

// The last fragment, and behind it what has waited for it. Throws std::bad_alloc with
// nothing changed.
int Outbox::finish_fragments(Frame frame, Way way)
{
    std::vector<uint8_t> payload;
    payload.reserve(frame.payload.size() + behind_fragments_.size());
    append(payload, frame.payload);
    append(payload, behind_fragments_);
    const Frame all{frame.header, payload};
    if (way == Way::enqueue)
        (void)enqueue(all);
    std::vector<uint8_t>().swap(behind_fragments_);
    return way == Way::write ? write(all) : 0;
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
int Outbox::keep_behind_fragments(Frame frame)
{
    if (frame.size() > room())
        return ENOBUFS;
    make_room(behind_fragments_, frame.size());
    append(behind_fragments_, frame.header);
    append(behind_fragments_, frame.payload);
    ++totals_.messages;
    return 0;
}

// Leaves with the rest of its batch, or behind what waits for the peer. Throws std::bad_alloc
// with nothing added.
int Outbox::enqueue(Frame frame)
{
    std::vector<uint8_t> *const lent = lent_.load(std::memory_order_acquire);
    if (lent && queue_.empty() && lent->capacity() > queue_.capacity())
        queue_.swap(*lent);
    make_room(queue_, frame.size());
    append(queue_, frame.header);
    append(queue_, frame.payload);
    return 0;
}

int Outbox::queue_or_close(std::span<const uint8_t> bytes)
{
    const Frame frame{bytes, {}};
    Lock lock(mutex_);
    if (state() != State::open)
        return ENOTCONN;
    try {
        // What a batch has gathered does not wait for the peer.
        const bool must_wait = (turn_ != Turn::free || left_to_flusher_) && queued_bytes() > 0;
        if ((must_wait || fragments_.under_way) && bytes.size() > room()) {
            (void)close_locked(1008, "does not read what it is sent", true);
            return ENOBUFS;
        }
        if (fragments_.under_way)
            return keep_behind_fragments(frame); // there is room: that was just looked at
        const bool gather = gathering_ && queue_.size() + bytes.size() <= kGatherBytes;
        if (turn_ != Turn::free || left_to_flusher_ || gather)
            append(queue_, bytes);
        else
            write_now(frame);
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

void Outbox::flush_transport()
{
    Lock lock(mutex_);
    // While it is opening, its thread alone writes, and past this outbox.
    if (state() == State::opening || state() == State::ended)
        return;
    transport_wants_write_ = true;
    if (turn_ != Turn::free)
        return;
    if (may_flush())
        write_now({});
    else if (left_to_flusher_)
        leave_to_flusher(); // it may be just what that has waited for
}

// Throws std::bad_alloc.
void Outbox::queue_control(Opcode opcode, std::span<const uint8_t> payload)
{
    std::array<uint8_t, kMaxServerHeader> header;
    const size_t header_len = encode_header(header.data(), true, opcode, payload.size());
    make_room(queue_, header_len + payload.size());
    trace_.add(header[0], payload.size(), coarse_ms());
    append(queue_, std::span(header).first(header_len));
    append(queue_, payload);
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

bool Outbox::has_pending()
{
    Lock lock(mutex_);
    return has_pending_locked();
}

std::string Outbox::last_frames()
{
    Lock lock(mutex_);
    return trace_.text(coarse_ms());
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
