// connection_frames.cpp: what a connection's thread does with frames: it queues them as events, or
// hands them to the session. Here a Ping is answered, and a frame that is too large gets its event
// (take_too_large). How it reads them is in connection_reading.cpp. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace websock {

void Connection::read_frames(Reading &reading)
{
    Decoded data;
    while (next_data(reading, data, kNever) == Next::data) {
        if (!take_data(data))
            return;
    }
}

// This and the others that take something: false if nothing more is to be read.
// RFC 7692 6.2: "... MUST use the following algorithm to receive ... an uncompressed message."
bool Connection::take_data(const Decoded &frame)
{
    if (frame.compressed)
        return take_compressed(frame);
    if (frame.kind == Decoded::frame && frame.fin && frame.opcode != Opcode::continuation)
        return add_whole(frame);
    // A part without a byte is worth an event only at the end of its message. Without one it must
    // not take the chunk, either: the last event may hold it.
    if (frame.kind == Decoded::part)
        return (frame.payload_len == 0 && !frame.fin) ||
               add_part(frame.message_opcode, frame.bytes(), frame.fin, chunk_for_data());
    assembly_.add(frame.bytes());
    return !frame.fin || add_assembled(frame.message_opcode);
}

// A message that came in one frame. Its event is made where it is to be: this is what most come as.
bool Connection::add_whole(const Decoded &frame)
{
    count_message();
    if (is_not_wanted())
        return true;
    Ref<Chunk> chunk = chunk_for_data();
    Event &event = own_session_ ? received_ : new_events_.emplace_back();
    event.kind = Event::message;
    event.fin = true;
    event.opcode = frame.opcode;
    event.payload_len = frame.payload_len;
    event.payload = frame.payload;
    event.chunk = std::move(chunk);
    return own_session_ || new_events_.size() < kBatch || queue_events();
}

// Of a message that comes in parts.
bool Connection::add_part(Opcode opcode, std::span<uint8_t> payload, bool fin, Ref<Chunk> chunk)
{
    Event event{.kind = Event::part,
                .fin = fin,
                .opcode = opcode,
                .part_len = static_cast<uint32_t>(payload.size()),
                .payload_len = part_offset_,
                .payload = payload.data(),
                .chunk = std::move(chunk)};
    part_offset_ = fin ? 0 : part_offset_ + payload.size();
    if (fin)
        count_message();
    return hand_out(std::move(event));
}

bool Connection::add_assembled_part(Opcode opcode, bool fin)
{
    if (assembly_.len() == 0 && !fin)
        return true;
    assembly_.add({}); // an empty part has memory, too
    const size_t len = assembly_.len();
    Ref<Chunk> chunk = assembly_.finish();
    const std::span<uint8_t> payload(chunk->data(), len);
    return add_part(opcode, payload, fin, std::move(chunk));
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
    count_message();
    return is_not_wanted() || hand_out(std::move(event));
}

// This thread alone writes it, so no read-modify-write is needed.
void Connection::count_message()
{
    messages_in_.store(messages_in_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

bool Connection::is_not_wanted() const
{
    return !own_session_ && callbacks_are_known() && !handle_.onmessage && !handle_.onpart;
}

// To the session, which reads nothing more while it uses the payload and needs no chunk; or to
// callbacks.
bool Connection::hand_out(Event event)
{
    if (!own_session_)
        return add_event(std::move(event));
    received_ = std::move(event);
    return true;
}

// A Ping is answered here, so that no callback can hold the Pong up.
bool Connection::take_control(const Decoded &frame)
{
    if (own_session_)
        stop_gathering(); // a Pong does not wait for the answers to what comes behind its Ping
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
    const bool in_order = !inbox_.is_concurrent();
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
