// connection_events.cpp: what a connection does on a worker: it runs a batch of its callbacks, and
// interrupts it when they take long or the client does not read. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"

#include <exception>
#include <iterator>
#include <new>

namespace websock {

// Nothing here is thread_local with a destructor: glibc ends the process if it finds no memory to
// note that down.
void Connection::run(Progress &progress, std::vector<uint8_t> &spare) noexcept
{
    // With concurrent_events other workers may be in a batch of their own.
    const bool in_order = !inbox_.is_concurrent();
    if (!in_order && pause_if_backed_up())
        return;
    Inbox::Batch events;
    std::span<Event> batch;
    const Inbox::Taken taken = take_batch(events, batch);
    if (batch.empty())
        return;
    const bool is_last = batch.front().kind == Event::closed;
    const bool gathers = in_order && !is_last; // onclose cannot send, nor be suspended
    for (size_t i = 0; i < taken.posts; ++i)
        engine_.dispatcher.post(*this, true); // concurrent_events is for callbacks that sleep
    if (gathers && !has_session_.load(std::memory_order_relaxed))
        outbox_.begin_batch(spare);
    run_batch(batch, progress);
    if (gathers && !end_batch(taken))
        return; // another worker may be here by now
    if (inbox_.finished(taken))
        engine_.dispatcher.post(*this);
    if (is_last)
        callbacks_are_over();
}

// Has the last event run. Until it is posted nothing of the client runs, so what its callbacks have
// set can be read here. The arguments of its timers are freed on a worker.
void Connection::end_callbacks() noexcept
{
    const bool calls_back = opened_ && handle_.onclose;
    if (calls_back || !inbox_.take_closed())
        return engine_.dispatcher.post(*this);
    if (engine_.timers.forget_if_none(timers_))
        return callbacks_are_over();
    (void)inbox_.put_closed(); // true: nothing has been posted since
    engine_.dispatcher.post(*this);
}

void Connection::callbacks_are_over() noexcept
{
    if (opened_)
        engine_.registry.count_closed(ending_.close_info.code);
    else if (upgraded_) // and cut off before onopen could be called
        engine_.registry.count_refused(Refused::gone);
    side_is_done();
}

// What is to be run: the rest of a batch that was suspended, or else a new one.
Inbox::Taken Connection::take_batch(Inbox::Batch &events, std::span<Event> &batch)
{
    if (!inbox_.is_concurrent() && suspended_.count > 0) {
        Inbox::Taken suspended = std::exchange(suspended_, {});
        for (Event &event : not_run_)
            events.push_back(std::move(event));
        batch = {events.data(), events.size()};
        std::vector<Event>().swap(not_run_);
        if (!batch.empty() || !inbox_.finished(suspended))
            return suspended;
        if (inbox_.is_concurrent()) { // from here on: it was onopen, and the next run is another
            engine_.dispatcher.post(*this);
            return {};
        }
    }
    Inbox::Taken taken = inbox_.take(events);
    batch = {events.data(), events.size()};
    return taken;
}

// Runs them. Keeps the rest for later if they take long, so that other clients get their turn, or
// if the client leaves many of the answers unread.
void Connection::run_batch(std::span<Event> batch, Progress &progress) noexcept
{
    is_late_.store(false, std::memory_order_relaxed);
    CallbackScope scope(outbox_);
    while (!batch.empty() && (!inbox_.is_discarded() || batch.front().kind == Event::closed)) {
        progress.begin_event();
        scope.begin_event();
        run_event(batch.front());
        batch.front().chunk = nullptr;
        batch = batch.subspan(1);
        const bool pauses = is_late_.load(std::memory_order_relaxed) || outbox_.is_backed_up();
        if (pauses && !batch.empty() && keep_for_later(batch))
            return;
    }
    for (const Event &event : batch) { // discarded
        if (event.kind == Event::call)
            event.called().drop();
    }
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

// False: the batch is not over. Another run() goes on with it.
bool Connection::end_batch(const Inbox::Taken &taken)
{
    suspended_ = taken;
    if (!outbox_.end_batch_or_suspend())
        return false;
    if (!not_run_.empty()) { // the client has read by now, or the batch only took long
        engine_.dispatcher.post(*this);
        return false;
    }
    suspended_ = {};
    return true;
}

// With concurrent_events. True: nothing is to be run before the client has read.
bool Connection::pause_if_backed_up()
{
    if (!outbox_.is_backed_up())
        return false;
    inbox_.pause();
    if (!outbox_.suspend_if_backed_up() && inbox_.go_on())
        engine_.dispatcher.post(*this);
    return true;
}

void Connection::resume_callbacks() noexcept
{
    if (!inbox_.is_concurrent() || inbox_.go_on())
        engine_.dispatcher.post(*this);
}

void Connection::notify() noexcept
{
    if (inbox_.put_notice())
        engine_.dispatcher.post(*this);
}

Inbox::PutCall Connection::put_call(Call &call, size_t most_waiting)
{
    const Inbox::PutCall put = inbox_.put_call(call, most_waiting);
    if (put == Inbox::PutCall::schedule)
        engine_.dispatcher.post(*this);
    return put;
}

int Connection::post(Call &call, size_t most_waiting)
{
    switch (put_call(call, most_waiting)) {
    case Inbox::PutCall::early:
    case Inbox::PutCall::late:
        return ENOTCONN;
    case Inbox::PutCall::full:
        return ENOBUFS;
    case Inbox::PutCall::done:
    case Inbox::PutCall::schedule:
        break;
    }
    return 0;
}

Timers::Owner::Took Connection::TimerOwner::take(Call &call) noexcept
{
    switch (connection.put_call(call, SIZE_MAX)) {
    case Inbox::PutCall::early:
        return Took::not_yet;
    case Inbox::PutCall::late:
        return Took::never;
    case Inbox::PutCall::full:
    case Inbox::PutCall::done:
    case Inbox::PutCall::schedule:
        break;
    }
    return Took::yes;
}

void Connection::late() noexcept
{
    is_late_.store(true, std::memory_order_relaxed);
    outbox_.stop_gathering();
}

void Connection::run_event(const Event &event) noexcept
{
    const auto log_thrown = [this](const char *what) {
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: a callback threw an exception: %s", name(),
                          what);
    };
    try {
        return call_back(event);
    } catch (const std::exception &exception) {
        log_thrown(exception.what());
    } catch (...) {
        log_thrown("not a std::exception");
    }
    may_set_limits_ = false;
    hook_.finish(500);
    (void)close(WS_CLOSE_UNEXPECTED_ERROR, "");
}

void Connection::call_back(const Event &event)
{
    switch (event.kind) {
    case Event::request:
        return call_onrequest();
    case Event::open:
        return call_onopen();
    case Event::message: {
        libwebsock_message message{.opcode = static_cast<unsigned>(event.opcode),
                                   .payload_len = event.payload_len,
                                   .payload = reinterpret_cast<char *>(event.payload)};
        if (handle_.onpart) // it was not known to be set when the message came
            call_onpart(event, 0, event.payload_len);
        else if (handle_.onmessage)
            handle_.onmessage(&handle_, &message);
        return;
    }
    case Event::part:
        return call_onpart(event, event.payload_len, event.part_len);
    case Event::too_large:
    case Event::control:
        return call_with_frame(event);
    case Event::notice:
        return give_notice();
    case Event::call:
        return event.called().run(&handle_);
    case Event::closed:
        engine_.timers.forget(timers_);
        if (opened_ && handle_.onclose)
            handle_.onclose(&handle_);
        return;
    }
}

void Connection::call_onrequest()
{
    hook_.begin();
    may_set_limits_ = true;
    const int returned = engine_.settings.onrequest(&handle_, &public_request_);
    may_set_limits_ = false;
    hook_.finish(returned);
}

void Connection::call_onopen()
{
    opened_ = true;
    engine_.registry.count_opened();
    may_set_limits_ = true;
    if (handle_.onopen)
        handle_.onopen(&handle_);
    may_set_limits_ = false;
    limits_are_final_.store(true, std::memory_order_release);
}

// On the connection's thread. onrequest, which may have set onopen, has returned.
bool Connection::begin_callbacks()
{
    if (handle_.onopen || !inbox_.skip_open())
        return add_event({.kind = Event::open}) && queue_events();
    call_onopen(); // for what it counts
    return true;
}

void Connection::call_onpart(const Event &event, uint64_t offset, uint64_t len)
{
    libwebsock_part part{.opcode = static_cast<unsigned>(event.opcode),
                         .offset = offset,
                         .len = static_cast<size_t>(len),
                         .payload = reinterpret_cast<char *>(event.payload),
                         .fin = event.fin ? 1 : 0};
    if (handle_.onpart)
        handle_.onpart(&handle_, &part);
}

void Connection::call_with_frame(const Event &event)
{
    libwebsock_frame frame{.fin = event.fin,
                           .opcode = static_cast<unsigned>(event.opcode),
                           .payload_len = event.payload_len,
                           .payload = reinterpret_cast<const char *>(event.payload)};
    if (event.kind == Event::too_large) {
        if (handle_.onframetoolarge)
            handle_.onframetoolarge(&handle_, &frame);
        // Unless the callback has closed.
        (void)close(WS_CLOSE_MESSAGE_TOO_BIG, "frame too large", By::library);
        return;
    }
    if (handle_.control_callback)
        handle_.control_callback(&handle_, &frame);
    if (event.opcode == Opcode::pong && handle_.onpong)
        handle_.onpong(&handle_);
}

void Connection::give_notice()
{
    if (outbox_.take_drained() && handle_.ondrain)
        handle_.ondrain(&handle_);
    if (Source *const source = outbox_.source())
        source->tell();
}

void Connection::call_onmissed(const char *topic, uint64_t messages)
{
    if (handle_.onmissed)
        handle_.onmissed(&handle_, topic, messages);
}

} // namespace websock
