// outbox.cpp: what is queued, and in which order; how it leaves is in outbox_turn.cpp.
// See outbox.h.
#include "outbox/outbox.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace websock {

namespace {

// Doubles the capacity, or many small frames would be copied again and again. Throws
// std::bad_alloc with nothing appended.
void append(std::vector<uint8_t> &bytes, std::span<const uint8_t> first,
            std::span<const uint8_t> second, std::span<const uint8_t> third = {})
{
    const size_t size = bytes.size() + first.size() + second.size() + third.size();
    if (size > bytes.capacity())
        bytes.reserve(std::max(size, 2 * bytes.capacity()));
    bytes.insert(bytes.end(), first.begin(), first.end());
    bytes.insert(bytes.end(), second.begin(), second.end());
    bytes.insert(bytes.end(), third.begin(), third.end());
}

} // namespace

int Outbox::open(std::string_view response, TimePoint deadline,
                 std::unique_ptr<SendCompression> compression)
{
    Lock lock(mutex_);
    if (state() != State::opening)
        return ENOTCONN;
    if (compression) {
        window_bits_ = compression->window_bits;
        messages_.accept_compressed(window_bits_);
        compression_ = std::move(compression);
    }
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

// RFC 6455 6.1: "To _Send a WebSocket Message_ ... MUST perform the following steps."
int Outbox::send(bool fin, Opcode opcode, std::span<const uint8_t> payload, bool may_compress)
{
    if (may_gather(fin, opcode)) {
        Lock lock(mutex_);
        if (gathers(payload.size()))
            return gather(opcode, payload);
    }
    Departing out(fin, opcode, payload, may_compress);
    prepare(out);

    Lock lock(mutex_);
    if (const int error = compress(out); error != 0)
        return error;
    // RFC 6455 6.1: "The endpoint MUST ensure the WebSocket connection is in the OPEN state ..."
    if (state() != State::open)
        return ENOTCONN;
    if (in_callback())
        callback_bytes_ += out.size();
    if (joins_queue(out.size()))
        return place(out, Way::enqueue);
    if (const int error = take_turn(); error != 0)
        return error;
    // A Close may have been queued meanwhile, and nothing may follow it.
    // RFC 6455 6.1: "If at any point the state ... changes, the endpoint MUST abort ..."
    int error = make_way(out);
    if (error == 0)
        error = place(out, Way::write);
    pass_turn();
    return error;
}

int Outbox::queue_or_close(const Ref<Message> &message)
{
    Lock lock(mutex_);
    if (state() != State::open)
        return ENOTCONN;
    Departing out(*message, window_bits_);
    const int error = queue_locked(out, &message);
    if (error == ENOBUFS)
        (void)close_locked(1008, "does not read what it is sent", By::library, true);
    return error;
}

int Outbox::queue(Opcode opcode, std::span<const uint8_t> payload)
{
    Departing out(true, opcode, payload, true);
    prepare(out);

    Lock lock(mutex_);
    int error = compress(out);
    if (error == 0)
        error = state() == State::open ? queue_locked(out) : ENOTCONN;
    tells_when_drained_ = tells_when_drained_ || error == ENOBUFS;
    return error;
}

bool Outbox::take_drained()
{
    Lock lock(mutex_);
    return std::exchange(drained_, false);
}

size_t Outbox::queued()
{
    Lock lock(mutex_);
    return queued_bytes();
}

// A whole message. ENOBUFS: there is no room for it.
int Outbox::queue_locked(Departing &out, const Ref<Message> *shared)
{
    const bool may_write = turn_ == Turn::free && !left_to_flusher_;
    // What a batch has gathered does not wait for the peer.
    const bool must_wait = fragments_.under_way || (!may_write && queued_bytes() > 0);
    const size_t needed = shared ? (*shared)->waiting_bytes(window_bits_) : out.size();
    if (must_wait && needed > room())
        return ENOBUFS;
    if (shared && may_share())
        return queue_shared(*shared, out);
    return place(out, may_write && !fits_batch(out.size()) ? Way::write_now : Way::enqueue);
}

// How many more bytes may wait for the peer.
size_t Outbox::room() const { return std::max(max_queued_bytes_, queued_bytes()) - queued_bytes(); }

// Whether a sender only queues its frame. A callback does so, as far as it may, instead of
// waiting behind others: its worker has more to do than this peer's work.
bool Outbox::joins_queue(size_t size)
{
    if (fits_batch(size))
        return true;
    const bool is_left = (left_to_flusher_ || turn_ != Turn::free) && size <= may_leave_bytes();
    RunningCallback::current.has_left_frame |= is_left;
    return is_left;
}

// Gives a frame its place among the others; where that is depends on unfinished fragments.
int Outbox::place(Departing &out, Way way)
try {
    if (way != Way::enqueue)
        copy_messages();
    if (is_control(out.opcode()))
        return add(out, way);
    if (out.is_fragment())
        return place_fragment(out, way);
    if (fragments_.under_way)
        return keep_behind_fragments(out.plain_frame());
    const int error = add(out, way);
    ++totals_.messages;
    return error;
} catch (const std::bad_alloc &) {
    return ENOMEM; // nothing was sent
}

// The last fragment takes along the messages that were kept behind it. Throws std::bad_alloc with
// nothing changed.
int Outbox::place_fragment(Departing &out, Way way)
{
    const auto before = fragments_;
    if (const int error = fragments_.advance(out); error != 0)
        return error;
    if (way == Way::enqueue) {
        Frame frame = out.frame();
        if (out.fin())
            frame.behind = behind_fragments_;
        try {
            enqueue(frame);
        } catch (const std::bad_alloc &) {
            fragments_ = before;
            throw;
        }
        note_place(out);
    }
    std::vector<uint8_t> behind;
    if (out.fin())
        behind.swap(behind_fragments_);
    totals_.messages += out.fin();
    return way == Way::write ? write(out, behind) : 0;
}

int Outbox::add(Departing &out, Way way)
{
    if (way == Way::write)
        return write(out);
    if (way == Way::enqueue)
        enqueue(out.frame());
    note_place(out);
    if (way == Way::write_now)
        write_now(out.frame());
    return 0;
}

// The frame leaves with the rest of its batch, or behind what waits for the peer. Throws
// std::bad_alloc with nothing added.
void Outbox::enqueue(Frame frame)
{
    borrow_buffer();
    append(queue_, frame.header, frame.payload, frame.behind);
}

// For a whole message that comes between the fragments of another.
int Outbox::keep_behind_fragments(Frame frame)
{
    if (frame.size() > room())
        return ENOBUFS;
    append(behind_fragments_, frame.header, frame.payload);
    trace_.add(frame.header[0], frame.payload.size(), coarse_ms());
    ++totals_.messages;
    totals_.uncompressed += compression_ ? 1 : 0;
    return 0;
}

int Outbox::close(uint16_t code, std::string_view reason, By by, bool expires)
{
    Lock lock(mutex_);
    return state() == State::open ? close_locked(code, reason, by, expires) : ENOTCONN;
}

// Without memory for the Close frame the connection is cut off: it must not stay open.
int Outbox::close_locked(uint16_t code, std::string_view reason, By by, bool expires)
{
    note_end(by);
    std::array<uint8_t, kMaxControlPayload> payload;
    const size_t len = encode_close(payload.data(), code, reason);
    try {
        add_pong_and_ping(queue_);
        add_control(queue_, Opcode::close, std::span(payload).first(len));
        end_.code = code;
        end_.reason.assign(payload.begin() + std::min<size_t>(len, 2), payload.begin() + len);
    } catch (const std::bad_alloc &) {
        fail(ENOMEM);
        return ENOMEM;
    }
    // RFC 6455 5.5.1: "The application MUST NOT send any more data frames after ..."
    state_ = State::closing;
    wake_quiet_waiters();
    stop_gathering_locked();
    // After the flush, since close_timeout_ms may be 0: then a Close frame that could not leave
    // at once is lost.
    if (expires && state() != State::ended)
        dispatcher_.expire_at(owner_, in_ms(limits_.close_timeout_ms));
    return 0;
}

void Outbox::pong(std::span<const uint8_t> payload)
{
    Lock lock(mutex_);
    if (state() != State::open)
        return;
    // RFC 6455 5.5.3: "A Pong frame ... must have identical "Application data" as found ..."
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
    has_ping_ = true;
    flush_if_due();
}

// Throws std::bad_alloc.
void Outbox::add_control(std::vector<uint8_t> &to, Opcode opcode, std::span<const uint8_t> payload)
{
    std::array<uint8_t, kMaxServerHeader> header;
    const size_t header_len = encode_header(header.data(), true, opcode, payload.size());
    append(to, std::span(header).first(header_len), payload);
    trace_.add(header[0], payload.size(), coarse_ms());
}

void Outbox::add_pong_and_ping(std::vector<uint8_t> &to)
{
    const bool pongs = std::exchange(has_pong_, false);
    const bool pings = std::exchange(has_ping_, false);
    if (state() != State::open)
        return; // no frame follows our Close
    try {
        if (pongs)
            add_control(to, Opcode::pong, std::span(pong_).first(pong_len_));
        if (pings)
            add_control(to, Opcode::ping, {});
    } catch (const std::bad_alloc &) {
        // The peer may ask again, and so may we.
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
    totals_.history = compression_ ? compression_->history.memory() : 0;
    return totals_;
}

void Outbox::count_bytes(size_t n)
{
    Lock lock(mutex_);
    totals_.bytes += n;
}

} // namespace websock
