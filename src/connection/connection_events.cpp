// connection_events.cpp: what workers, the monitor and the API do for a connection:
// run its callbacks, watch its deadlines, end it. See connection.h; its own thread is
// in connection.cpp.
#include "connection/connection.h"

#include "connection/engine.h"

#include <array>
#include <cerrno>
#include <exception>
#include <iterator>
#include <new>
#include <utility>

namespace websock {

// Nothing here is thread_local that needs to be destroyed: where glibc finds no memory to note
// that, it ends the process.
void Connection::run(Progress &progress, std::vector<uint8_t> &spare) noexcept
{
    // With concurrent_events other workers may be in a batch of their own.
    const bool gathers = engine_.settings.concurrent_events == 0;
    if (!gathers && is_paused())
        return;
    std::array<Event, kBatch> events;
    std::span<Event> batch;
    const Inbox::Taken taken = take(events, batch);
    if (batch.empty())
        return;
    for (size_t i = 0; i < taken.posts; ++i)
        engine_.dispatcher.post(*this, true); // with concurrent_events, which is for such
    if (gathers)
        outbox_.begin_batch(spare);
    const bool is_last = batch.front().kind == Event::closed;
    run(batch, progress);
    if (gathers && !end_batch(taken))
        return; // somebody else may be here by now
    if (inbox_.finished(taken))
        engine_.dispatcher.post(*this);
    if (is_last)
        part();
}

// Runs them, or keeps the rest for later: if they take their time, so that others get turns, or
// the client leaves much of the answers unread.
void Connection::run(std::span<Event> batch, Progress &progress) noexcept
{
    is_late_.store(false, std::memory_order_relaxed);
    Outbox::Answering answering(outbox_);
    while (!batch.empty() && (!inbox_.is_discarded() || batch.front().kind == Event::closed)) {
        progress.begin_event();
        answering.begin_event();
        handle(batch.front());
        batch.front().chunk = nullptr;
        batch = batch.subspan(1);
        const bool pauses = is_late_.load(std::memory_order_relaxed) || outbox_.is_backed_up();
        if (pauses && !batch.empty() && keep_for_later(batch))
            return;
    }
}

// With concurrent_events: whether nothing is to be run before the client has read.
bool Connection::is_paused()
{
    if (!outbox_.is_backed_up())
        return false;
    inbox_.pause();
    if (!outbox_.suspend() && inbox_.go_on())
        engine_.dispatcher.post(*this);
    return true;
}

void Connection::drained() noexcept
{
    if (engine_.settings.concurrent_events == 0 || inbox_.go_on())
        engine_.dispatcher.post(*this);
}

// False: the batch goes on, or is finished, in another run.
bool Connection::end_batch(const Inbox::Taken &taken)
{
    suspended_ = taken;
    if (!outbox_.end_batch())
        return false;
    if (!not_run_.empty()) { // what was in the way has just gone
        engine_.dispatcher.post(*this);
        return false;
    }
    suspended_ = {};
    return true;
}

// What is to be run: the rest of a batch that was suspended, or else a new one.
Inbox::Taken Connection::take(std::array<Event, kBatch> &events, std::span<Event> &batch)
{
    if (engine_.settings.concurrent_events == 0 && suspended_.count > 0) {
        Inbox::Taken suspended = std::exchange(suspended_, {});
        batch = std::span(events).first(not_run_.size());
        std::move(not_run_.begin(), not_run_.end(), batch.begin());
        std::vector<Event>().swap(not_run_);
        if (!batch.empty() || !inbox_.finished(suspended))
            return suspended;
    }
    Inbox::Taken taken = inbox_.take(events);
    batch = std::span(events).first(taken.count);
    return taken;
}

// False: there is no memory for that.
bool Connection::keep_for_later(std::span<Event> rest)
try {
    not_run_.reserve(rest.size());
    std::move(rest.begin(), rest.end(), std::back_inserter(not_run_));
    return true;
} catch (const std::bad_alloc &) {
    return false;
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
    (void)close(WS_CLOSE_UNEXPECTED_ERROR, "");
}

void Connection::log_thrown(const char *what) noexcept
{
    engine_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: a callback has thrown: %s", peer_.c_str(), what);
}

void Connection::call(Event &event)
{
    switch (event.kind) {
    case Event::request:
        return run_request();
    case Event::open:
        opened_ = true;
        engine_.registry.count_opened();
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
    hook_.finish(engine_.settings.onrequest(&handle_, &public_request_));
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
    (void)close(WS_CLOSE_MESSAGE_TOO_BIG, "frame too large"); // unless it did so itself
}

void Connection::run_closed()
{
    if (!opened_) {
        if (upgraded_) // and cut off before onopen could be called
            engine_.registry.count_refused(Refused::gone);
        return;
    }
    // Even if the callback throws.
    struct Counted {
        Registry &registry;
        unsigned code;
        ~Counted() { registry.count_closed(code); }
    } const counted{engine_.registry, close_info_.code};
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
    engine_.dispatcher.forget(*this);
    engine_.threads.reap();
    owned_transport_.reset();
    engine_.registry.remove(*this);
}

int Connection::offer(std::span<const uint8_t> frame)
{
    const int error = outbox_.offer(frame);
    if (error != ENOBUFS)
        return error;
    inbox_.take_no_more();
    engine_.log.write(LIBWEBSOCK_LOG_INFO, "%s: closed with 1008: more than %zu bytes wait for it",
                      peer_.c_str(), engine_.settings.max_queued_bytes);
    return error;
}

int Connection::close(uint16_t code, std::string_view reason)
{
    const int error = outbox_.close(code, reason);
    inbox_.take_no_more();
    return error;
}

void Connection::drop(std::string_view reason)
{
    outbox_.drop(reason);
    inbox_.cut_off();
    hook_.abandon();
}

void Connection::abandon(std::string_view reason)
{
    inbox_.discard();
    drop(reason);
}

void Connection::go_away()
{
    if (outbox_.state() == Outbox::State::opening)
        drop("the server stops");
    else
        (void)close(WS_CLOSE_GOING_AWAY, "");
}

void Connection::late() noexcept
{
    is_late_.store(true, std::memory_order_relaxed);
    outbox_.hurry();
}

void Connection::expired() noexcept { drop("no Close frame in answer to ours"); }

Registry::Traffic Connection::traffic()
{
    const Outbox::Totals out = outbox_.totals();
    return {.messages_in = messages_in_.load(std::memory_order_relaxed),
            .messages_out = out.messages,
            .bytes_in = bytes_in_.load(std::memory_order_relaxed),
            .bytes_out = out.bytes,
            .send_timeouts = out.timed_out,
            .events_waiting = inbox_.waiting()};
}

} // namespace websock
