// connection_reading.cpp: how a connection's thread comes to the next data: it waits for bytes,
// decodes, deals with what is not data, and notices a silent or slow peer. What becomes of the data
// is in connection_frames.cpp and connection_session.cpp. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace websock {

namespace {

constexpr size_t kLargeMessage = 16 * 1024; // of fragments, or inflated
constexpr int kLookAtLimitsMs = 1000;       // how often, while onopen may still change them

bool begins_message(uint8_t first_byte)
{
    const auto opcode = static_cast<Opcode>(first_byte & 0xf);
    return opcode == Opcode::text || opcode == Opcode::binary;
}

} // namespace

Reading Connection::begin_reading()
{
    Reading reading({}, inflation_ != nullptr);
    take_limits(reading);
    return reading;
}

void Connection::take_limits(Reading &reading)
{
    reading.limits_version = limits_version_.load(std::memory_order_acquire);
    reading.decoder.limit({limits_.frame, limits_.message});
    if (inflation_ && !reading.decoder.delivers_parts())
        inflation_->inflater.limit(limits_.message);
    // The peer is pinged after half of the time it may be silent for.
    const int idle_ms = limits_.idle_ms;
    reading.silence_ms = idle_ms == 0 ? -1 : std::max(1, idle_ms / 2);
    if (reading.limits_version == 0)
        return;
    inbox_.limit(parts_ == Parts::yes ? std::min<size_t>(limits_.queued, kMostParts)
                                      : limits_.queued.load());
}

// The bytes of the data are unread until this is called again.
Connection::Next Connection::next_data(Reading &reading, Decoded &data, TimePoint deadline)
{
    Decoder &decoder = reading.decoder;
    for (;;) {
        buffer_.consume(std::exchange(reading.in_use, 0));
        if (own_session_ && !new_events_.empty()) {
            if (const Next next = queue_events_of_session(deadline); next != Next::data)
                return next;
        }
        if (reading.limits_version != limits_version_.load(std::memory_order_acquire))
            take_limits(reading);
        if (parts_ == Parts::undecided && !decide_on_parts(decoder))
            return Next::ended;
        if (!decoder.decode_short(buffer_.unread(), data))
            data = decoder.decode(buffer_.unread());
        if (data.kind != Decoded::need_more && data.begins_frame)
            trace_.add(buffer_.unread().front(), data.announced_len, received_ms_);
        if (data.kind == Decoded::error) {
            fail(data.close_code, data.reason);
            return Next::ended;
        }
        if (data.kind == Decoded::too_large) {
            take_too_large(data);
            return Next::ended;
        }
        if (data.kind != Decoded::need_more) {
            reading.in_use = data.frame_len;
            const bool comes_on = data.kind == Decoded::part && data.payload_len > 0;
            if (!decoder.in_message() || comes_on)
                message_since_ms_ = 0;
            // RFC 6455 6.2: "If a control frame ... is received, the frame MUST be handled ..."
            if (is_control(data.opcode) && !take_control(data))
                return Next::ended;
            // Once we have sent our Close, no message is delivered any more. Browsers do the same.
            if (!is_control(data.opcode) && outbox_.state() == Outbox::State::open)
                return Next::data;
            continue;
        }
        if (!queue_events())
            return Next::ended;
        const Next next = wait_for_more(reading, data.frame_len, deadline);
        if (next != Next::data)
            return next;
    }
}

// data: there may be more bytes.
Connection::Next Connection::wait_for_more(Reading &reading, size_t frame_len, TimePoint deadline)
{
    const bool in_message = reading.decoder.in_message() || !buffer_.unread().empty();
    const int quiet_ms =
        reading.silence_ms < 0 ? -1 : std::max(1, reading.silence_ms - reading.silent_ms);
    int timeout_ms = wait_ms(in_message, quiet_ms);
    if (timeout_ms == 0) {
        fail(WS_CLOSE_POLICY_VIOLATION, "message took too long");
        return Next::ended;
    }
    if (!limits_are_final_.load(std::memory_order_acquire))
        timeout_ms = timeout_ms < 0 ? kLookAtLimitsMs : std::min(timeout_ms, kLookAtLimitsMs);
    if (deadline != kNever) {
        const int left_ms = ms_until(deadline);
        if (left_ms == 0 && reading.has_waited)
            return Next::timed_out;
        timeout_ms = timeout_ms < 0 ? left_ms : std::min(timeout_ms, left_ms);
    }
    if (own_session_ && own_session_->take_wake())
        return Next::woken;
    reading.has_waited = true;
    const int64_t before_ms = own_session_ ? coarse_ms() : 0;
    const Read read = read_more(frame_len, timeout_ms);
    if (read == Read::ended)
        return Next::ended;
    if (read == Read::bytes) {
        reading.silent_ms = 0;
        reading.silence.broken();
        return Next::data;
    }
    reading.silent_ms += own_session_ ? static_cast<int>(coarse_ms() - before_ms) : timeout_ms;
    if (!survives_silence(reading))
        return Next::ended;
    return read == Read::woken ? Next::woken : Next::data;
}

bool Connection::survives_silence(Reading &reading)
{
    if (reading.silence_ms < 0 || reading.silent_ms < reading.silence_ms)
        return true;
    reading.silent_ms = 0;
    return survives(reading.silence);
}

// Before a message, whether it comes in parts. Callbacks may choose that until onopen has returned.
// False: the connection was cut off.
bool Connection::decide_on_parts(Decoder &decoder)
{
    const std::span<const uint8_t> bytes = buffer_.unread();
    if (bytes.empty() || !decoder.is_at_frame() || !begins_message(bytes.front()))
        return true;
    if (!callbacks_are_known()) {
        if (!wants_parts_)
            return true; // this message comes whole, and no callback holds its reading up
        if (!queue_events())
            return false;
        inbox_.wait_until_run(kNever);
    }
    parts_ = handle_.onpart ? Parts::yes : Parts::no;
    if (parts_ == Parts::yes) {
        inbox_.limit(std::min<size_t>(limits_.queued, kMostParts));
        deliver_parts(decoder, true);
    }
    return true;
}

void Connection::deliver_parts(Decoder &decoder, bool parts)
{
    decoder.deliver_parts(parts);
    if (inflation_)
        inflation_->inflater.limit(parts ? UINT64_MAX : limits_.message.load());
}

// Called after each half of idle_timeout_ms without a byte. False: the peer is given up.
bool Connection::survives(Silence &silence)
{
    buffer_.relax();
    const Silence::Verdict verdict = silence.judge(transport_.outgoing(), outbox_.has_pending());
    if (verdict == Silence::Verdict::ping)
        outbox_.ping();
    if (verdict != Silence::Verdict::dead)
        return true;
    outbox_.drop("silent for " + std::to_string(limits_.idle_ms) + " ms");
    return false;
}

// How long to wait for more bytes: silence_ms (-1: for ever), or less if a message has begun to
// arrive and has less time left. 0: it has none left.
int Connection::wait_ms(bool in_message, int silence_ms)
{
    const int limit_ms = engine_.settings.message_timeout_ms;
    if (!in_message || limit_ms == 0)
        return silence_ms;
    const int64_t now_ms = coarse_ms();
    if (message_since_ms_ == 0)
        message_since_ms_ = now_ms;
    const int64_t left_ms = std::max<int64_t>(message_since_ms_ + limit_ms - now_ms, 0);
    return silence_ms < 0 || left_ms < silence_ms ? static_cast<int>(left_ms) : silence_ms;
}

// Waits for bytes, which are added behind the unread ones.
Connection::Read Connection::read_more(size_t frame_len, int timeout_ms)
{
    using Received = Transport::Received;
    const Received received = wait_for_bytes(frame_len, timeout_ms);
    const size_t n = received.len;
    prefetch(this);
    if (received.write_due)
        outbox_.flush_transport();
    if (n > 0) {
        received_ms_ = coarse_ms();
        buffer_.received(n, received_ms_);
        if (const size_t given_up = buffer_.take_given_up(); given_up != 0)
            engine_.trimmer.gave_up(given_up);
        // This thread alone writes it, so no read-modify-write is needed.
        bytes_in_.store(bytes_in_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    if (received.result == Received::bytes)
        return Read::bytes; // even if there are none: the peer is alive
    if (received.result == Received::timed_out)
        return own_session_ && own_session_->take_wake() ? Read::woken : Read::timed_out;
    ending_.by = received.result == Received::malformed ? Ending::us : Ending::peer_gone;
    ending_.reason = received.result == Received::end ? "the peer closed without a Close frame"
                                                      : transport_.why();
    return Read::ended;
}

// As Transport::read. Once the peer has been silent for a while, memory is given back.
Transport::Received Connection::wait_for_bytes(size_t frame_len, int timeout_ms)
{
    if (own_session_)
        return wait_in_session(frame_len, timeout_ms);
    constexpr int kCalmMs = ReceiveBuffer::kCalmMs;
    const bool is_short = timeout_ms >= 0 && timeout_ms <= kCalmMs;
    if (!holds_much())
        return transport_.read(buffer_.room(frame_len), timeout_ms);
    const Transport::Received received =
        transport_.read(buffer_.room(frame_len), is_short ? timeout_ms : kCalmMs);
    if (received.result != Transport::Received::timed_out)
        return received;
    if (!is_short || coarse_ms() - received_ms_ >= kCalmMs)
        give_memory_back();
    if (is_short)
        return received;
    return transport_.read(buffer_.room(frame_len), timeout_ms < 0 ? -1 : timeout_ms - kCalmMs);
}

// More than an idle connection should.
bool Connection::holds_much() const
{
    return buffer_.is_large() || assembled_bytes_ > kLargeMessage || has_used_stack_;
}

// A large buffer, what large messages have left behind, and what inflating has used of the stack.
void Connection::give_memory_back()
{
    buffer_.relax();
    engine_.trimmer.gave_up(buffer_.take_given_up() + std::exchange(assembled_bytes_, 0));
    if (std::exchange(has_used_stack_, false)) {
        transport_.give_memory_back();
        release_unused_stack();
    }
}

} // namespace websock
