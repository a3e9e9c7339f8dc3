// connection_frames.cpp: a connection's thread while the connection is open. It reads, decodes
// frames, and queues them as events. Here a Ping is answered, a frame that is too large gets its
// event (take_too_large), and a silent or slow peer is noticed. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace websock {

namespace {

constexpr size_t kLargeMessage = 16 * 1024; // of fragments, or inflated

} // namespace

void Connection::read_frames()
{
    if (tls_) // the handshakes needed far more stack than anything from here on
        release_unused_stack();
    const libwebsock_context &settings = engine_.settings;
    Decoder decoder({settings.max_frame_payload, settings.max_message_payload},
                    inflation_ != nullptr);
    // The peer is pinged after half of the time it may be silent for.
    const int silence_ms =
        settings.idle_timeout_ms == 0 ? -1 : std::max(1, settings.idle_timeout_ms / 2);
    Silence silence;
    for (;;) {
        const Decoded frame = decoder.decode(buffer_.unread());
        if (frame.kind != Decoded::need_more)
            trace_.add(buffer_.unread().front(), frame.payload_len, received_ms_);
        if (frame.kind == Decoded::error)
            return fail(frame.close_code, frame.reason);
        if (frame.kind == Decoded::too_large)
            return take_too_large(frame);
        if (frame.kind == Decoded::frame) {
            const bool goes_on = take_frame(frame);
            buffer_.consume(frame.frame_len);
            if (!goes_on)
                return;
            if (!decoder.in_message())
                message_since_ms_ = 0;
            continue;
        }
        if (!queue_events())
            return;
        const bool in_message = decoder.in_message() || !buffer_.unread().empty();
        const int timeout_ms = wait_ms(in_message, silence_ms);
        if (timeout_ms == 0)
            return fail(WS_CLOSE_POLICY_VIOLATION, "message took too long");
        const Read read = read_more(frame.frame_len, timeout_ms);
        if (read == Read::ended)
            return;
        if (read == Read::bytes)
            silence.broken();
        else if (timeout_ms == silence_ms && !survives(silence))
            return;
    }
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
    outbox_.drop("silent for " + std::to_string(engine_.settings.idle_timeout_ms) + " ms");
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
        return Read::timed_out;
    ending_.by = received.result == Received::malformed ? Ending::us : Ending::peer_gone;
    ending_.reason = received.result == Received::end ? "the peer closed without a Close frame"
                                                      : transport_.why();
    return Read::ended;
}

// As Transport::read. Once the peer has been silent for a while, a large buffer is given up, and
// what large messages have left behind, and what inflating has used of the stack.
Transport::Received Connection::wait_for_bytes(size_t frame_len, int timeout_ms)
{
    constexpr int kCalmMs = ReceiveBuffer::kCalmMs;
    const bool is_large = buffer_.is_large() || assembled_bytes_ > kLargeMessage || has_used_stack_;
    if (!is_large || (timeout_ms >= 0 && timeout_ms <= kCalmMs))
        return transport_.read(buffer_.room(frame_len), timeout_ms);
    const Transport::Received received = transport_.read(buffer_.room(frame_len), kCalmMs);
    if (received.result != Transport::Received::timed_out)
        return received;
    buffer_.relax();
    engine_.trimmer.gave_up(buffer_.take_given_up() + std::exchange(assembled_bytes_, 0));
    if (std::exchange(has_used_stack_, false))
        release_unused_stack();
    return transport_.read(buffer_.room(frame_len), timeout_ms < 0 ? -1 : timeout_ms - kCalmMs);
}

// This and the next two: false if nothing more is to be read.
bool Connection::take_frame(const Decoded &frame)
{
    // RFC 6455 6.2: "If a control frame ... is received, the frame MUST be handled ..."
    if (is_control(frame.opcode))
        return take_control(frame);
    // Once we have sent our Close, no message is delivered any more. Browsers do the same.
    return outbox_.state() != Outbox::State::open || take_data(frame);
}

// RFC 7692 6.2: "... MUST use the following algorithm to receive ... an uncompressed message."
bool Connection::take_data(const Decoded &frame)
{
    if (frame.compressed)
        return take_compressed(frame);
    const bool fragment = !frame.fin || frame.opcode == Opcode::continuation;
    if (fragment)
        assembly_.add(frame.bytes());
    if (!frame.fin)
        return true;
    if (fragment)
        return add_assembled(frame.message_opcode);
    return add_message({.kind = Event::message,
                        .opcode = frame.message_opcode,
                        .payload_len = frame.payload_len,
                        .payload = frame.payload,
                        .chunk = chunk_for_event()});
}

bool Connection::add_assembled(Opcode opcode)
{
    Event event{.kind = Event::message, .opcode = opcode, .payload_len = assembly_.len()};
    event.chunk = assembly_.finish();
    assembled_bytes_ = std::max(assembled_bytes_, event.chunk->capacity());
    event.payload = event.chunk->data();
    return add_message(std::move(event));
}

bool Connection::add_message(Event event)
{
    messages_in_.store(messages_in_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (callbacks_are_known() && !handle_.onmessage)
        return true;
    return add_event(std::move(event));
}

// A Ping is answered here, so that no callback can hold the Pong up.
bool Connection::take_control(const Decoded &frame)
{
    // RFC 6455 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame ..."
    if (frame.opcode == Opcode::ping)
        outbox_.pong(frame.bytes());
    if (frame.opcode == Opcode::close && !take_close(parse_close(frame.bytes())))
        return false;
    const bool is_wanted = !callbacks_are_known() || handle_.control_callback ||
                           (frame.opcode == Opcode::pong && handle_.onpong);
    const bool goes_on = !is_wanted || add_event({.kind = Event::control,
                                                  .opcode = frame.opcode,
                                                  .payload_len = frame.payload_len,
                                                  .payload = frame.payload,
                                                  .chunk = chunk_for_event()});
    if (frame.opcode != Opcode::close)
        return goes_on;
    (void)queue_events(TimePoint{}); // nothing is read after a Close: no need to wait for room
    return false;
}

// None of the payload is read. onframetoolarge decides how this ends; unless it closes with
// another code, the Close has 1009 (call_too_large).
void Connection::take_too_large(const Decoded &frame)
{
    ending_ = {.peer_is_told = true,
               .reason = "1009: a frame of " + std::to_string(frame.payload_len) + " bytes"};
    // Once our Close has been sent, nothing is delivered any more.
    if (outbox_.state() == Outbox::State::open &&
        add_event({.kind = Event::too_large,
                   .fin = frame.fin,
                   .opcode = frame.opcode,
                   .payload_len = frame.payload_len}) &&
        queue_events())
        outbox_.wait_for_close();
}

// For an event whose payload is among the unread bytes. Events run one after the other, so the
// last event with a chunk can hold it for all before it; but not with concurrent_events.
Ref<Chunk> Connection::chunk_for_event()
{
    const Ref<Chunk> &chunk = buffer_.chunk();
    const bool in_order = engine_.settings.concurrent_events == 0;
    if (in_order && !new_events_.empty() && new_events_.back().chunk.get() == chunk.get())
        return std::move(new_events_.back().chunk);
    return chunk;
}

// What no callback wants is not queued. But a callback may change which callbacks the client has,
// so they may be read here only while no event of it is left to run.
bool Connection::callbacks_are_known() const { return new_events_.empty() && inbox_.idle(); }

// Events are queued in bulk: all that one read has brought. False: the connection was cut off.
bool Connection::add_event(Event event)
{
    new_events_.push_back(std::move(event));
    return new_events_.size() < kBatch || queue_events();
}

// Waits while the Inbox is full (max_queued_bytes), at most until deadline.
bool Connection::queue_events(TimePoint deadline)
{
    if (new_events_.empty())
        return true;
    const bool in_message = message_since_ms_ != 0;
    const int64_t before_ms = in_message ? coarse_ms() : 0;
    const Inbox::Put put = inbox_.put(new_events_, deadline);
    if (in_message) // the peer is not to blame that nothing was read meanwhile
        message_since_ms_ += coarse_ms() - before_ms;
    if (put == Inbox::Put::schedule)
        engine_.dispatcher.post(*this);
    return put != Inbox::Put::cut;
}

} // namespace websock
