// connection_end.cpp: how a connection ends, on its own thread: the closing handshake (RFC 6455 7),
// protocol errors, the last bytes, and what onclose and the log are told. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace websock {

namespace {

constexpr int kGoodbyeMs = 1000; // for a peer that has nothing left to do but to close
constexpr int kAnswersMs = 1000; // our Close waits so long for the callbacks of what came before it

static_assert(static_cast<int>(By::peer) == LIBWEBSOCK_ENDED_BY_PEER &&
              static_cast<int>(By::program) == LIBWEBSOCK_ENDED_BY_PROGRAM &&
              static_cast<int>(By::library) == LIBWEBSOCK_ENDED_BY_LIBRARY);

// What a peer reports when something has gone wrong: 1002 to 1015, but for "no code".
bool is_bad(unsigned code) { return code >= 1002 && code < 3000 && code != 1005; }

libwebsock_close_info close_info(uint16_t code, std::string_view reason)
{
    libwebsock_close_info info{};
    info.code = code;
    const std::span<const uint8_t> text(reinterpret_cast<const uint8_t *>(reason.data()),
                                        reason.size());
    reason.copy(info.reason, utf8_prefix(text, sizeof info.reason - 1));
    return info;
}

// What many that were refused are called in a line of the log about their number.
const char *name_of(Registry::Refused why)
{
    using Refused = Registry::Refused;
    return why == Refused::tls         ? "TLS handshakes that failed"
           : why == Refused::late      ? "handshakes that took too long"
           : why == Refused::onrequest ? "refused by onrequest"
           : why == Refused::gone      ? "peers that left before they were answered"
                                       : "requests that were refused";
}

} // namespace

// False: the peer's Close frame is invalid.
bool Connection::take_close(const ClosePayload &close_frame)
{
    if (!close_frame.ok) {
        fail(close_frame.close_code, close_frame.error);
        return false;
    }
    let_answers_go_first();
    // RFC 6455 5.5.1: "... the endpoint MUST send a Close frame in response."
    (void)outbox_.close(close_frame.code, "", By::peer,
                        false); // no effect if ours was sent first
    ending_ = {.by = Ending::peer_close,
               .peer_is_told = true,
               .log_level = is_bad(close_frame.code) ? LIBWEBSOCK_LOG_INFO : LIBWEBSOCK_LOG_DEBUG,
               .close_info = close_info(close_frame.code, close_frame.reason)};
    return true;
}

// The peer is told why, and nothing more is read.
// RFC 6455 7.1.7: "An endpoint MUST NOT continue to attempt to process data ..."
void Connection::fail(uint16_t code, std::string_view reason)
{
    Ending failed{.peer_is_told = true, .reason = std::to_string(code).append(": ").append(reason)};
    let_answers_go_first();
    if (outbox_.close(code, reason, By::library, false) == ENOMEM)
        return outbox_.drop(reason);
    ending_ = std::move(failed);
}

// Nothing more comes from the client. What came before a Close or an error was good, and its
// callbacks may want to answer. Nothing can be sent after our Close, so it waits for them; not for
// ever, since a callback may block.
void Connection::let_answers_go_first()
{
    gone_.set(); // to a callback that waits for something else
    const TimePoint deadline = in_ms(std::min(kAnswersMs, engine_.settings.close_timeout_ms));
    if (queue_events(deadline) && outbox_.state() == Outbox::State::open)
        inbox_.wait_until_run(deadline);
}

// RFC 6455 5.5.1: "After both sending and receiving ... MUST close the ... TCP connection."
// RFC 6455 7.1.7: "... the server MUST _Close the WebSocket Connection_, ..."
void Connection::finish() noexcept
{
    const TimePoint deadline = in_ms(engine_.settings.close_timeout_ms);
    // RFC 6455 5.5.1: "The server MUST close the underlying TCP connection immediately; ..."
    if (ending_.peer_is_told)
        outbox_.finish(deadline);
    report_ending();
    if (!upgraded_)
        engine_.registry.count_refused(ending_.refused);
    if (!ending_.peer_is_told)
        outbox_.end();
    // Before onclose, and for good: the outbox is not open any more.
    if (Source *const source = outbox_.source())
        source->end();
    gone_.set();
    // A peer that never became a client has no callback to come, and should not wait for a worker.
    if (!upgraded_ && inbox_.idle()) {
        engine_.timers.forget(timers_); // another thread may have set one while the 101 was written
        side_is_done();
    } else if (inbox_.put_closed()) {
        end_callbacks();
    }
    if (ending_.peer_is_told) {
        const bool has_closed = ending_.by == Ending::peer_close;
        if (!has_closed || !may_close_first())
            read_until_closed(has_closed ? std::min(deadline, in_ms(kGoodbyeMs)) : deadline);
        outbox_.end();
    }
}

// Whoever cut the connection off gave a reason, which counts more than how reading ended.
void Connection::find_who_cut_off() noexcept
{
    uint64_t untold = 0;
    if (!upgraded_ && engine_.registry.makes_room(*this, untold)) {
        ending_.refused = Refused::for_newer;
        ending_.log_level = LIBWEBSOCK_LOG_DEBUG; // a flood brings thousands: one line for many
        if (untold != 0)
            engine_.log.write(LIBWEBSOCK_LOG_WARNING,
                              "max_handshakes reached: %llu made room for newer connections",
                              static_cast<unsigned long long>(untold));
    }
    try {
        std::string reason = outbox_.drop_reason();
        if (reason.empty())
            return;
        if (!reason.starts_with("write: ")) // which may just mean that the peer has gone
            ending_.by = Ending::us;
        ending_.reason = std::move(reason);
    } catch (const std::bad_alloc &) {
        // The reason stays how reading ended.
    }
}

// What onclose sees, and a session before it.
void Connection::find_close_info() noexcept
{
    if (!ending_.peer_is_told)
        find_who_cut_off();
    libwebsock_close_info &info = ending_.close_info;
    if (ending_.by != Ending::peer_close)
        info = close_info(WS_CLOSE_DIRTY, ending_.reason);
    End end;
    try {
        outbox_.get_end(end);
        (void)end.reason.copy(info.sent_reason, sizeof info.sent_reason - 1);
    } catch (const std::bad_alloc &) {
        // It has no reason then.
    }
    info.sent_code = end.code;
    if (end.by == By::nobody)
        end.by = ending_.by == Ending::us ? By::library : By::peer;
    info.ended_by = static_cast<int>(end.by);
}

// Fills in what onclose sees, and writes the line of the log. An error is explained by the last
// frames; a peer that has just gone needs no explanation.
void Connection::report_ending() noexcept
{
    const bool by_close = ending_.by == Ending::peer_close;
    const bool is_limited = ending_.log_level <= LIBWEBSOCK_LOG_INFO;
    find_close_info();
    const libwebsock_close_info &info = ending_.close_info;
    std::string closed, frames;
    try {
        if (by_close)
            closed.append("closed, ").append(std::to_string(info.code) + " ").append(info.reason);
        if (upgraded_ && is_limited && ending_.by != Ending::peer_gone) {
            if (const std::string in = trace_.text(coarse_ms()); !in.empty())
                frames = "; last frames in: " + in;
            if (const std::string out = outbox_.last_frames(); !out.empty())
                frames += "; last frames out: " + out;
        }
    } catch (const std::bad_alloc &) {
        // The line has what there is.
    }
    const char *text = by_close ? closed.c_str() : ending_.reason.c_str();
    const char *kind = upgraded_ ? "clients that failed or vanished" : name_of(ending_.refused);
    if (is_limited)
        engine_.log.write_limited(kind, ending_.log_level, "%s: %s%s", peer_.c_str(), text,
                                  frames.c_str());
    else
        engine_.log.write(ending_.log_level, "%s: %s", peer_.c_str(), text);
}

// Of a peer that has sent its Close, and so most likely nothing more. Nothing is lost by closing
// now if nothing is unread, and the peer's system has room for all that it has not taken yet. With
// TLS its close_notify is still to come. RFC 6455 7.1.1 wants the server to close first, so that it
// is the one in TIME_WAIT.
bool Connection::may_close_first() noexcept
try {
    if (tls_)
        return false;
    buffer_.consume(buffer_.unread().size());
    if (transport_.read(buffer_.room(0), 0).result == Transport::Received::bytes)
        return false;
    const Outgoing out = transport_.outgoing();
    return out.written - out.taken <= static_cast<int64_t>(out.window);
} catch (const std::bad_alloc &) {
    return false;
}

// If a socket is closed with bytes unread, the connection is reset, and the peer may lose what it
// was told last. So its bytes are read, and dropped, until it closes too.
void Connection::read_until_closed(TimePoint deadline) noexcept
try {
    for (;;) {
        buffer_.consume(buffer_.unread().size());
        const int left_ms = ms_until(deadline);
        if (left_ms <= 0)
            return;
        const Transport::Received received = transport_.read(buffer_.room(0), left_ms);
        if (received.result != Transport::Received::bytes)
            return;
    }
} catch (const std::bad_alloc &) {
    // The socket is closed as it is.
}

} // namespace websock
