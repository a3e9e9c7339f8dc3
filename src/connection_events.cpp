// connection_events.cpp: what workers, the monitor and the API do for a connection:
// run its callbacks, watch its deadlines, end it. See connection.h; its own thread is
// in connection.cpp.
#include "connection.h"

#include "server.h"

#include <array>
#include <cerrno>
#include <exception>

namespace websock {

// Nothing here is thread_local: where glibc finds no memory to note that such an object is
// to be destroyed, it ends the process.
void Connection::run(Progress &progress, std::vector<uint8_t> &spare) noexcept
{
    std::array<Event, kBatch> events;
    const Inbox::Taken taken = inbox_.take(events);
    if (taken.schedule)
        server_.dispatcher.post(*this);
    if (taken.count == 0)
        return;
    const std::span<Event> batch = std::span(events).first(taken.count);
    // With concurrent_events other workers may be in a batch of their own.
    const bool gathers = server_.settings.concurrent_events == 0;
    if (gathers)
        outbox_.begin_batch(spare);
    const bool is_last = batch.front().kind == Event::closed;
    for (Event &event : batch) {
        progress.begin_event();
        handle(event);
        event.chunk = nullptr;
    }
    if (gathers)
        outbox_.end_batch();
    if (inbox_.finished(taken))
        server_.dispatcher.post(*this);
    if (is_last)
        part();
}

void Connection::handle(Event &event) noexcept
{
    try {
        return call(event);
    } catch (const std::exception &exception) {
        log_thrown(exception.what());
    } catch (...) {
        log_thrown("not a std::exception");
    }
    hook_.finish(500);
    (void)outbox_.close(WS_CLOSE_UNEXPECTED_ERROR, "");
}

void Connection::log_thrown(const char *what) noexcept
{
    server_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: a callback has thrown: %s", peer_.c_str(), what);
}

void Connection::call(Event &event)
{
    switch (event.kind) {
    case Event::request:
        return run_request();
    case Event::open:
        opened_ = true;
        server_.registry.count_opened();
        if (handle_.onopen)
            handle_.onopen(&handle_);
        return;
    case Event::message: {
        libwebsock_message message{.opcode = static_cast<unsigned>(event.opcode),
                                   .payload_len = event.payload_len,
                                   .payload = reinterpret_cast<char *>(event.payload)};
        if (handle_.onmessage)
            handle_.onmessage(&handle_, &message);
        return;
    }
    case Event::too_large:
        return run_too_large(event);
    case Event::control:
        return run_control(event);
    case Event::closed:
        return run_closed();
    }
}

void Connection::run_request()
{
    hook_.begin();
    hook_.finish(server_.settings.onrequest(&handle_, &public_request_));
}

void Connection::run_control(const Event &event)
{
    libwebsock_frame frame{.fin = 1,
                           .opcode = static_cast<unsigned>(event.opcode),
                           .payload_len = event.payload_len,
                           .payload = reinterpret_cast<const char *>(event.payload)};
    if (handle_.control_callback)
        handle_.control_callback(&handle_, &frame);
    if (event.opcode == Opcode::pong && handle_.onpong)
        handle_.onpong(&handle_);
}

void Connection::run_too_large(const Event &event)
{
    libwebsock_frame frame{.fin = event.fin,
                           .opcode = static_cast<unsigned>(event.opcode),
                           .payload_len = event.payload_len,
                           .payload = nullptr};
    if (handle_.onframetoolarge)
        handle_.onframetoolarge(&handle_, &frame);
    (void)outbox_.close(WS_CLOSE_MESSAGE_TOO_BIG, "frame too large"); // unless it did so itself
}

void Connection::run_closed()
{
    if (!opened_) {
        if (upgraded_) // and cut off before onopen could be called
            server_.registry.count_refused(Refused::gone);
        return;
    }
    // Even if the callback throws.
    struct Counted {
        Registry &registry;
        unsigned code;
        ~Counted() { registry.count_closed(code); }
    } const counted{server_.registry, close_info_.code};
    if (handle_.onclose)
        handle_.onclose(&handle_);
}

// By the connection's thread when it has nothing more to do for it, and by the worker that
// has run onclose: the second of them ends it.
void Connection::part()
{
    if (parties_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        bury();
}

// Nothing of the server's connections is used after remove(): it may wait for just that.
void Connection::bury()
{
    server_.dispatcher.forget(*this);
    server_.threads.reap();
    owned_transport_.reset();
    server_.registry.remove(*this);
}

int Connection::offer(std::span<const uint8_t> frame)
{
    const int error = outbox_.offer(frame);
    if (error == ENOBUFS)
        server_.log.write(LIBWEBSOCK_LOG_INFO,
                          "%s: closed with 1008: more than %zu bytes wait for it", peer_.c_str(),
                          server_.settings.max_queued_bytes);
    return error;
}

void Connection::drop(std::string_view reason)
{
    outbox_.drop(reason);
    inbox_.cut_off();
    hook_.abandon();
}

void Connection::go_away()
{
    if (outbox_.state() == Outbox::State::opening)
        drop("the server stops");
    else
        (void)outbox_.close(WS_CLOSE_GOING_AWAY, "");
}

void Connection::late() noexcept { outbox_.hurry(); }

void Connection::expired() noexcept { drop("no Close frame in answer to ours"); }

Registry::Traffic Connection::traffic()
{
    const Outbox::Totals out = outbox_.totals();
    return {.messages_in = messages_in_.load(std::memory_order_relaxed),
            .messages_out = out.messages,
            .bytes_in = bytes_in_.load(std::memory_order_relaxed),
            .bytes_out = out.bytes,
            .send_timeouts = out.timed_out};
}

} // namespace websock
