// connection.cpp: a connection's thread, from the first frame to the last: decoding,
// control frames, the closing handshake. See connection.h; the opening handshake is in
// connection_open.cpp, what workers do in connection_events.cpp.
#include "connection/connection.h"

#include "connection/engine.h"
#include "transport/socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace websock {

namespace {

// What a peer reports when something has gone wrong: 1002 to 1015, but for "no code".
bool is_bad_end(unsigned code) { return code >= 1002 && code < 3000 && code != 1005; }

// What many that were refused are called in a line of the log about their number.
const char *name_of(Registry::Refused why)
{
    switch (why) {
    case Registry::Refused::tls:
        return "TLS handshakes that failed";
    case Registry::Refused::late:
        return "handshakes that took too long";
    case Registry::Refused::onrequest:
        return "refused by onrequest";
    case Registry::Refused::gone:
        return "gone before they were answered";
    default:
        return "requests that were refused";
    }
}

constexpr int kGoodbyeMs = 1000; // for a peer that has nothing left to do but to close
constexpr int kAnswersMs = 1000; // that our Close waits for callbacks of what came before

// With concurrent_events, of one client: enough to overlap what they wait for, and not so
// many that one client has all the workers.
constexpr int kMostAtOnce = 16;

// As the Inbox takes it.
size_t concurrency(int concurrent_events)
{
    return static_cast<size_t>(concurrent_events == 1 ? kMostAtOnce : concurrent_events);
}

} // namespace

Ref<Connection> Connection::make(Engine &engine, std::unique_ptr<Transport> &transport,
                                 const sockaddr_storage &peer)
{
    return Ref<Connection>::adopt(new Connection(engine, transport, peer));
}

Connection::Connection(Engine &engine, std::unique_ptr<Transport> &transport,
                       const sockaddr_storage &peer)
    : engine_(engine), transport_(*transport), buffer_(engine.settings.max_queued_bytes),
      trace_(engine.settings.close_trace_frames),
      inbox_(engine.settings.max_queued_bytes, concurrency(engine.settings.concurrent_events)),
      outbox_(transport_,
              {engine.settings.send_timeout_ms, engine.settings.close_timeout_ms,
               engine.settings.max_queued_bytes, engine.settings.close_trace_frames},
              engine.dispatcher, engine.flusher, *this),
      peer_(printable_address(peer)), address_(peer)
{
    const libwebsock_context &settings = engine.settings;
    handle_.onopen = settings.onopen;
    handle_.onmessage = settings.onmessage;
    handle_.onclose = settings.onclose;
    handle_.onframetoolarge = settings.onframetoolarge;
    handle_.onpong = settings.onpong;
    handle_.control_callback = settings.control_callback;
    handle_.sockfd = transport_.fd();
    handle_.sa = &address_;
    handle_.ctx = &engine.context;
    handle_.close_info = &close_info_;
    handle_.priv = this;
    owned_transport_ = std::move(transport);
}

int Connection::start()
{
    const libwebsock_context &settings = engine_.settings;
    if (const int error = engine_.registry.add(*this, {.connections = settings.max_connections,
                                                       .handshakes = settings.max_handshakes});
        error != 0)
        return error;
    const ThreadOptions options{
        .name = "ws-connection", .stack_bytes = settings.connection_stack_bytes, .batch = true};
    const auto job = [](void *self) { static_cast<Connection *>(self)->serve(); };
    const int error = engine_.threads.run(options, job, this);
    if (error != 0)
        engine_.registry.remove(*this);
    return error;
}

void Connection::release() noexcept
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

void Connection::serve() noexcept
{
    try {
        if (open())
            read_frames();
    } catch (const std::bad_alloc &) {
        engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s: out of memory", peer_.c_str());
        outbox_.drop("out of memory");
    }
    finish();
    engine_.registry.thread_ends(*this);
    part();
}

void Connection::read_frames()
{
    if (tls_) // then both handshakes have gone far down, and none comes any more
        release_unused_stack();
    const libwebsock_context &settings = engine_.settings;
    Decoder decoder({settings.max_frame_payload, settings.max_message_payload});
    // Two silences in a row of half the time each, and a ping in between.
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
        if (!hand_over())
            return;
        const bool in_message = decoder.in_message() || !buffer_.unread().empty();
        const int timeout_ms = wait_ms(in_message, silence_ms);
        if (timeout_ms == 0)
            return fail(WS_CLOSE_POLICY_VIOLATION, "message takes too long");
        const Read read = receive(frame.frame_len, timeout_ms);
        if (read == Read::ended)
            return;
        if (read == Read::bytes)
            silence.broken();
        else if (timeout_ms == silence_ms && !survives(silence))
            return;
    }
}

// Half of the time that a silent peer has is over. False: all of it is.
bool Connection::survives(Silence &silence)
{
    buffer_.relax();
    switch (silence.judge(transport_.outgoing(), outbox_.has_pending())) {
    case Silence::Verdict::ping:
        outbox_.ping();
        return true;
    case Silence::Verdict::alive:
        return true;
    case Silence::Verdict::dead:
        break;
    }
    outbox_.drop("silent for " + std::to_string(engine_.settings.idle_timeout_ms) + " ms");
    return false;
}

// How long to wait for more: not longer than silence_ms (-1: for ever), nor than what is
// left to a message of which part is here. 0: nothing is left.
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

// Waits for bytes behind those that are unread.
Connection::Read Connection::receive(size_t frame_len, int timeout_ms)
{
    const ssize_t n = wait_for_bytes(frame_len, timeout_ms);
    const int error = n < 0 ? errno : 0;
    prefetch(this);
    if (transport_.write_due())
        outbox_.nudge();
    if (n > 0) {
        received_ms_ = coarse_ms();
        buffer_.received(static_cast<size_t>(n), received_ms_);
        if (const size_t given_up = buffer_.take_given_up(); given_up != 0)
            engine_.trimmer.gave_up(given_up);
        // This thread alone writes it: no read-modify-write is needed.
        bytes_in_.store(bytes_in_.load(std::memory_order_relaxed) + static_cast<uint64_t>(n),
                        std::memory_order_relaxed);
        return Read::bytes;
    }
    if (error == EINTR)
        return Read::bytes; // none, but the peer is alive
    if (error == EAGAIN)
        return Read::timed_out;
    end_reason_ = n == 0 ? "the peer closed without a Close frame" : transport_.why();
    vanished_ = error != EPROTO;
    return Read::ended;
}

// As Transport::read. A silent connection is not to keep a large buffer for as long as it
// may be silent.
ssize_t Connection::wait_for_bytes(size_t frame_len, int timeout_ms)
{
    constexpr int kCalmMs = ReceiveBuffer::kCalmMs;
    if (!buffer_.is_large() || (timeout_ms >= 0 && timeout_ms <= kCalmMs))
        return transport_.read(buffer_.room(frame_len), timeout_ms);
    const ssize_t n = transport_.read(buffer_.room(frame_len), kCalmMs);
    if (n >= 0 || errno != EAGAIN)
        return n;
    buffer_.relax();
    engine_.trimmer.gave_up(buffer_.take_given_up());
    return transport_.read(buffer_.room(frame_len), timeout_ms < 0 ? -1 : timeout_ms - kCalmMs);
}

// False: nothing more is to be read.
bool Connection::take_frame(const Decoded &frame)
{
    if (is_control(frame.opcode))
        return take_control(frame);
    // After our Close nothing is delivered any more, as browsers do it.
    if (outbox_.state() == Outbox::State::open)
        return take_data(frame);
    return true;
}

bool Connection::take_data(const Decoded &frame)
{
    Event event{.kind = Event::message,
                .opcode = frame.message_opcode,
                .payload_len = frame.payload_len,
                .payload = frame.payload,
                .chunk = nullptr};
    const bool fragment = !frame.fin || frame.opcode == Opcode::continuation;
    if (fragment)
        assembly_.add(frame.bytes());
    if (!frame.fin)
        return true;
    if (fragment) {
        event.payload_len = assembly_.len();
        event.chunk = assembly_.finish();
        event.payload = event.chunk->data();
    } else {
        event.chunk = hold_chunk();
    }
    messages_in_.store(messages_in_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (callbacks_are_known() && !handle_.onmessage)
        return true;
    return queue(std::move(event));
}

// RFC 6455 5.5: answered here, so that no callback can hold the answer up.
bool Connection::take_control(const Decoded &frame)
{
    const std::span<const uint8_t> payload = frame.bytes();
    const ClosePayload close_frame =
        frame.opcode == Opcode::close ? parse_close(payload) : ClosePayload{};
    if (frame.opcode == Opcode::ping)
        outbox_.pong(payload);
    if (frame.opcode == Opcode::close && !take_close(close_frame))
        return false;
    const bool is_wanted = !callbacks_are_known() || handle_.control_callback ||
                           (frame.opcode == Opcode::pong && handle_.onpong);
    const bool queued = !is_wanted || queue({.kind = Event::control,
                                             .opcode = frame.opcode,
                                             .payload_len = frame.payload_len,
                                             .payload = frame.payload,
                                             .chunk = hold_chunk()});
    if (frame.opcode != Opcode::close)
        return queued;
    (void)hand_over(TimePoint{}); // nothing is read after a Close: no need to wait for room
    return false;
}

// RFC 6455 5.5.1 and 7.1.5. False: the peer's Close frame is invalid.
bool Connection::take_close(const ClosePayload &close_frame)
{
    if (!close_frame.ok) {
        fail(close_frame.close_code, close_frame.error);
        return false;
    }
    let_answers_go_first();
    (void)outbox_.close(close_frame.code, "", false); // unless ours went first
    got_close_ = polite_ = true;
    close_info_.code = close_frame.code;
    close_frame.reason.copy(close_info_.reason, sizeof close_info_.reason - 1);
    return true;
}

// A callback decides how this ends; RFC 6455 has 1009 for it.
void Connection::take_too_large(const Decoded &frame)
{
    end_reason_ = "1009: a frame of " + std::to_string(frame.payload_len) + " bytes";
    polite_ = true;
    if (outbox_.state() != Outbox::State::open) // ours went first: nothing is delivered any more
        return;
    if (!queue({.kind = Event::too_large,
                .fin = frame.fin,
                .opcode = frame.opcode,
                .payload_len = frame.payload_len,
                .chunk = nullptr}) ||
        !hand_over())
        return;
    outbox_.wait_for_close();
}

// RFC 6455 7.1.7: says why, and reads no further.
void Connection::fail(uint16_t code, std::string_view reason)
{
    end_reason_.assign(std::to_string(code)).append(": ").append(reason);
    let_answers_go_first();
    if (outbox_.close(code, reason, false) == ENOMEM)
        return outbox_.drop(reason);
    polite_ = true;
}

// What came before a Close, or before an error, was good, and its callbacks may want to
// answer it. A Close that overtakes them would keep them from it, so it waits; not for
// ever, since a callback may block.
void Connection::let_answers_go_first()
{
    const TimePoint deadline = in_ms(std::min(kAnswersMs, engine_.settings.close_timeout_ms));
    if (hand_over(deadline) && outbox_.state() == Outbox::State::open)
        inbox_.wait_until_run(deadline);
}

// For an event whose payload is among the unread bytes. Events run one after the other, so
// the last of those that share a chunk holds it for all; but not with concurrent_events.
Ref<Chunk> Connection::hold_chunk()
{
    const Ref<Chunk> &chunk = buffer_.chunk();
    const bool in_order = engine_.settings.concurrent_events == 0;
    if (in_order && !decoded_.empty() && decoded_.back().chunk.get() == chunk.get())
        return std::move(decoded_.back().chunk);
    return chunk;
}

// What no callback wants need not be queued. But callbacks may set the client's callbacks:
// which it has when it comes to an event is known only while none of its events is left to
// run, and only then may they be read here.
bool Connection::callbacks_are_known() const { return decoded_.empty() && inbox_.idle(); }

// Events are handed over in bulk: all that one read has brought. False: the
// connection was cut off.
bool Connection::queue(Event event)
{
    decoded_.push_back(std::move(event));
    return decoded_.size() < kBatch || hand_over();
}

bool Connection::hand_over(TimePoint deadline)
{
    if (decoded_.empty())
        return true;
    const bool in_message = message_since_ms_ != 0;
    const int64_t before_ms = in_message ? coarse_ms() : 0;
    const Inbox::Put put = inbox_.put(decoded_, deadline);
    if (in_message) // that nothing was read meanwhile is not the peer's fault
        message_since_ms_ += coarse_ms() - before_ms;
    if (put == Inbox::Put::schedule)
        engine_.dispatcher.post(*this);
    return put != Inbox::Put::cut;
}

void Connection::finish() noexcept
{
    const TimePoint deadline = in_ms(engine_.settings.close_timeout_ms);
    if (polite_)
        outbox_.finish(deadline);
    if (!upgraded_ && !polite_ && engine_.registry.makes_room(*this))
        tell_of_made_room();
    describe_end();
    if (!upgraded_)
        engine_.registry.count_refused(refused_);
    if (!polite_)
        outbox_.end();
    // Who was never a client has no callback to come: a worker, for which that might have to
    // wait, is not needed.
    if (!upgraded_ && inbox_.idle())
        part();
    else if (inbox_.put_closed())
        engine_.dispatcher.post(*this);
    if (polite_) {
        discard(got_close_ ? std::min(deadline, in_ms(kGoodbyeMs)) : deadline);
        outbox_.end();
    }
}

// That it had to go is worth no line of its own, since a flood brings thousands.
void Connection::tell_of_made_room() noexcept
{
    refused_ = Refused::for_newer;
    end_level_ = LIBWEBSOCK_LOG_DEBUG;
    if (const unsigned long long count = engine_.registry.made_room(); count != 0)
        engine_.log.write(LIBWEBSOCK_LOG_WARNING,
                          "max_handshakes reached: %llu made room for newer connections", count);
}

// A socket closed with bytes unread resets the connection, and the peer may lose what
// it was told last. So its bytes are read until it closes, too.
void Connection::discard(TimePoint deadline) noexcept
{
    try {
        for (;;) {
            buffer_.consume(buffer_.unread().size());
            const int left_ms = ms_until(deadline);
            const ssize_t n = left_ms > 0 ? transport_.read(buffer_.room(0), left_ms) : 0;
            if (n == 0 || (n < 0 && errno != EINTR))
                return;
        }
    } catch (const std::bad_alloc &) {
        // It is closed as it is.
    }
}

// Sets close_info_, and logs how it ended. The last frames explain an error; who just went
// needs no explanation.
void Connection::describe_end() noexcept
{
    bool is_bad = !got_close_ || is_bad_end(close_info_.code);
    std::string frames;
    try {
        // A polite end has its reason already; that the peer did not read it is none.
        const std::string dropped = polite_ ? std::string() : outbox_.drop_reason();
        if (!dropped.empty())
            end_reason_ = dropped;
        if (vanished_ && (dropped.empty() || dropped.starts_with("write: ")))
            is_bad = false;
        if (is_bad)
            frames = trace();
    } catch (const std::bad_alloc &) {
        // What there is will do.
    }
    const char *kind = upgraded_ ? "clients that failed or vanished" : name_of(refused_);
    if (got_close_ && is_bad) {
        engine_.log.write_limited(kind, LIBWEBSOCK_LOG_INFO, "%s: closed, %u %s%s", peer_.c_str(),
                                  unsigned{close_info_.code}, close_info_.reason, frames.c_str());
        return;
    }
    if (got_close_) {
        engine_.log.write(LIBWEBSOCK_LOG_DEBUG, "%s: closed, %u %s", peer_.c_str(),
                          unsigned{close_info_.code}, close_info_.reason);
        return;
    }
    close_info_.code = WS_CLOSE_DIRTY;
    const std::span<const uint8_t> reason(reinterpret_cast<const uint8_t *>(end_reason_.data()),
                                          end_reason_.size());
    end_reason_.copy(close_info_.reason, utf8_prefix(reason, sizeof close_info_.reason - 1));
    if (end_level_ > LIBWEBSOCK_LOG_INFO)
        engine_.log.write(end_level_, "%s: %s", peer_.c_str(), end_reason_.c_str());
    else
        engine_.log.write_limited(kind, end_level_, "%s: %s%s", peer_.c_str(), end_reason_.c_str(),
                                  upgraded_ ? frames.c_str() : "");
}

// "; last frames in: text 5 B 12 ms ago", for the log; "" if there were none.
std::string Connection::trace()
{
    const std::string in = trace_.text(coarse_ms());
    const std::string out = outbox_.last_frames();
    return (in.empty() ? "" : "; last frames in: " + in) +
           (out.empty() ? "" : "; last frames out: " + out);
}

} // namespace websock
