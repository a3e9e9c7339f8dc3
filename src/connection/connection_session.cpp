// connection_session.cpp: the blocking style: onsession runs on the connection's own thread and
// asks for one message after the other, with no hand-over. See connection.h and session.h.
#include "connection/connection.h"

#include "connection/engine.h"
#include "transport/socket.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace websock {

namespace {

// A receive waits so long in recv(2), which only bytes can wake, and then in poll(2) for the socket
// and wake_fd, which costs some 3 us more. So a busy client needs one system call a message, and
// the first wake of a session may be noticed so late. Who has been woken once is always polled.
constexpr int kSliceMs = 100;
// For callbacks that are behind, nothing wakes a receive.
constexpr int kLookMs = 20;
// Receives whose answers leave together, if the messages came together.
constexpr int kMostGathered = 32;

[[gnu::tls_model("initial-exec")]] thread_local constinit Session *session_of_thread = nullptr;

} // namespace

// False: there is none, or it has returned before the end of the connection. Then read on.
bool Connection::run_session(Reading &reading)
{
    if (!wants_session_)
        return false;
    inbox_.wait_until_run(kNever);            // onopen, which may have changed it
    if (!inbox_.idle() || !handle_.onsession) // not idle: the connection was cut off before
        return false;
    Session session(*this, reading);
    parts_ = Parts::no;
    own_session_ = session_of_thread = &session;
    has_session_.store(true, std::memory_order_relaxed); // nothing runs that would look
    {
        Lock lock(session_mutex_);
        session_ = &session;
    }
    call_onsession();
    stop_gathering();
    {
        Lock lock(session_mutex_);
        session_ = nullptr;
    }
    own_session_ = session_of_thread = nullptr;
    received_ = {};
    if (session.ended)
        return true;
    (void)close(WS_CLOSE_NORMAL, "");
    return false;
}

void Connection::call_onsession() noexcept
{
    const auto log_thrown = [this](const char *what) {
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: onsession threw an exception: %s", name(),
                          what);
        (void)close(WS_CLOSE_UNEXPECTED_ERROR, "");
    };
    try {
        (void)handle_.onsession(&handle_);
    } catch (const std::exception &exception) {
        log_thrown(exception.what());
    } catch (...) {
        log_thrown("not a std::exception");
    }
}

int Connection::own_session(Session *&session)
{
    session = session_of_thread;
    if (session && &session->watched.runnable == this)
        return 0;
    if (outbox_.in_callback())
        return EDEADLK;
    Lock lock(session_mutex_);
    return session_ && session_->receiving ? EBUSY : EPERM;
}

int Connection::receive(bool in_parts, const Event *&event, int timeout_ms)
{
    event = nullptr;
    Session *session = nullptr;
    if (const int error = own_session(session); error != 0)
        return error;
    received_ = {};
    if (session->ended)
        return 0;
    const bool is_open = outbox_.state() == Outbox::State::open;
    if (const int error = is_open ? choose_parts(session->reading.decoder, in_parts) : 0;
        error != 0)
        return error;
    if (session->take_wake())
        return EINTR;
    if (message_since_ms_ != 0) // the peer is not to blame that nobody read
        message_since_ms_ += coarse_ms() - session->returned_ms;
    session->reading.has_waited = false;
    session->receiving.store(true, std::memory_order_relaxed); // only chooses an error
    const Next next = receive_next(*session, timeout_ms < 0 ? kNever : in_ms(timeout_ms));
    session->receiving.store(false, std::memory_order_relaxed);
    if (message_since_ms_ != 0)
        session->returned_ms = coarse_ms();
    switch (next) {
    case Next::data:
        event = &received_;
        gather_if_more_came();
        return 0;
    case Next::timed_out:
        return ETIMEDOUT;
    case Next::woken:
        return EINTR;
    case Next::ended:
        break;
    }
    stop_gathering();
    session->ended = true;
    find_close_info();
    if (!ending_.peer_is_told)
        outbox_.end(); // so that no send succeeds any more
    return 0;
}

// Only before a message: what has come of one is in memory as one or the other.
int Connection::choose_parts(Decoder &decoder, bool in_parts)
{
    if (decoder.delivers_parts() == in_parts)
        return 0;
    const bool inflates = inflation_ && inflation_->inflater.is_paused(); // what was decoded
    if (inflates || !decoder.is_between_messages())
        return EINVAL;
    deliver_parts(decoder, in_parts);
    return 0;
}

Connection::Next Connection::receive_next(Session &session, TimePoint deadline)
try {
    if (outbox_.state() == Outbox::State::ended) // by a send that failed, or by another thread
        return Next::ended;
    Decoded data;
    const bool has_rest = inflation_ && inflation_->inflater.is_paused();
    if (has_rest && outbox_.state() == Outbox::State::open && !take_compressed_rest())
        return Next::ended;
    while (received_.kind != Event::message && received_.kind != Event::part) {
        const Next next = next_data(session.reading, data, deadline);
        if (next != Next::data)
            return next;
        if (!take_data(data))
            return Next::ended;
    }
    return Next::data;
} catch (const std::bad_alloc &) {
    engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s: out of memory", peer_.c_str());
    outbox_.drop("out of memory");
    return Next::ended;
}

// If control_callback is behind, a receive waits for that no longer than for bytes.
// data: all events have been queued.
Connection::Next Connection::queue_events_of_session(TimePoint deadline)
{
    const int64_t before_ms = coarse_ms();
    const Next next = wait_for_callbacks(deadline);
    if (message_since_ms_ != 0) // the peer is not to blame
        message_since_ms_ += coarse_ms() - before_ms;
    if (next != Next::data)
        return next;
    return queue_events() ? Next::data : Next::ended;
}

Connection::Next Connection::wait_for_callbacks(TimePoint deadline)
{
    while (!inbox_.has_room(std::min(deadline, in_ms(kLookMs)))) {
        stop_gathering();
        if (own_session_->take_wake())
            return Next::woken;
        if (deadline <= Clock::now())
            return Next::timed_out;
    }
    return Next::data;
}

// The answers to messages that came together leave together, once all of these were received; but
// they do not wait for a session that takes long: see late().
void Connection::gather_if_more_came()
{
    Session &session = *own_session_;
    const bool more_came = buffer_.unread().size() > session.reading.in_use;
    if (session.gathered == kMostGathered)
        stop_gathering();
    if (!more_came && session.gathered == 0)
        return;
    if (session.gathered++ > 0)
        return;
    outbox_.begin_batch(session.spare);
    engine_.dispatcher.watch(session.watched);
}

void Connection::stop_gathering()
{
    if (std::exchange(own_session_->gathered, 0) == 0)
        return;
    engine_.dispatcher.unwatch(own_session_->watched);
    outbox_.end_batch();
}

bool Connection::in_session()
{
    Lock lock(session_mutex_);
    return session_ != nullptr;
}

int Connection::wake()
{
    Lock lock(session_mutex_);
    if (!session_)
        return EPERM;
    session_->woken = true;
    const uint64_t one = 1;
    // Does not block. Fails only if it is readable already, or if there is none.
    [[maybe_unused]] const ssize_t n = write(session_->wake_fd.get(), &one, sizeof one);
    return 0;
}

// As Transport::read(); timed_out also if the session was woken.
Transport::Received Connection::wait_in_session(size_t frame_len, int timeout_ms)
{
    stop_gathering();
    Session &session = *own_session_;
    const bool is_short = timeout_ms >= 0 && timeout_ms <= kSliceMs;
    const bool polls = is_short || session.waited_long || session.was_woken;
    const TimePoint deadline = timeout_ms < 0 ? kNever : in_ms(timeout_ms);
    const int64_t began_ms = coarse_ms();
    // With TLS there may be something to be read although the socket has nothing, and what the
    // socket has may be less than a record.
    bool reads = !polls || tls_ || timeout_ms == 0;
    for (int read_ms = polls ? 0 : kSliceMs;; read_ms = 0, reads = true) {
        const Transport::Received received =
            reads ? transport_.read(buffer_.room(frame_len), read_ms)
                  : Transport::Received{.result = Transport::Received::timed_out};
        if (received.result != Transport::Received::timed_out || timeout_ms == 0) {
            session.waited_long = coarse_ms() - began_ms > kSliceMs;
            return received;
        }
        if (!wait_calmly(deadline))
            return received;
    }
}

// Whether there is something to be read. Once the peer has been silent for a while, memory is given
// back.
bool Connection::wait_calmly(TimePoint deadline)
{
    if (!own_session_->wake_fd)
        make_wake_fd();
    const bool may_give_back = holds_much() || own_session_->spare.capacity() > 0;
    const int64_t calm_ms = received_ms_ + ReceiveBuffer::kCalmMs - coarse_ms();
    const TimePoint calm =
        may_give_back ? in_ms(static_cast<int>(std::max<int64_t>(calm_ms, 0))) : kNever;
    if (wait_until_woken(std::min(deadline, calm)))
        return true;
    if (deadline <= calm || own_session_->woken)
        return false;
    own_session_->spare = {};
    give_memory_back();
    return wait_until_woken(deadline);
}

void Connection::make_wake_fd()
{
    UniqueFd fd = above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    Lock lock(session_mutex_);
    own_session_->wake_fd = std::move(fd);
}

// Whether there is something to be read.
bool Connection::wait_until_woken(TimePoint deadline)
{
    const int wake_fd = own_session_->wake_fd.get();
    while (!own_session_->woken) {
        // Without a descriptor for that, look now and then.
        const TimePoint until = wake_fd < 0 ? std::min(deadline, in_ms(kLookMs)) : deadline;
        const bool readable = wait_readable_or(transport_.fd(), wake_fd, until);
        if (readable || (until == deadline && Clock::now() >= deadline))
            return readable;
        uint64_t wakes = 0;
        [[maybe_unused]] const ssize_t n = read(wake_fd, &wakes, sizeof wakes);
    }
    return false;
}

} // namespace websock
