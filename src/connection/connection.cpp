// connection.cpp: a connection's start, the end of its references, and what other threads ask of
// it: to send, to close, to be cut off, what it has done. See connection.h.
#include "connection/connection.h"

#include "connection/engine.h"
#include "transport/socket.h"

#include <cerrno>
#include <climits>
#include <new>

namespace websock {

namespace {

uint64_t next_number()
{
    static std::atomic<uint64_t> last{0};
    return ++last;
}

} // namespace

Connection::Connection(Engine &engine, std::unique_ptr<Transport> &transport,
                       const sockaddr_storage &peer)
    : engine_(engine), transport_(*transport), buffer_(engine.settings.max_queued_bytes),
      trace_(engine.settings.close_trace_frames),
      inbox_(engine.settings.max_queued_bytes,
             static_cast<size_t>(engine.settings.concurrent_events)),
      outbox_(transport_,
              {engine.settings.send_timeout_ms, engine.settings.close_timeout_ms,
               engine.settings.max_queued_bytes, engine.settings.send_buffer_bytes,
               engine.settings.close_trace_frames},
              engine.dispatcher, engine.flusher, *this),
      number_(next_number()), peer_(printable_address(peer)), address_(peer),
      limits_(engine.settings)
{
    const libwebsock_context &settings = engine.settings;
    handle_.onopen = settings.onopen;
    handle_.onmessage = settings.onmessage;
    handle_.onclose = settings.onclose;
    handle_.onframetoolarge = settings.onframetoolarge;
    handle_.onpong = settings.onpong;
    handle_.control_callback = settings.control_callback;
    handle_.ondrain = settings.ondrain;
    handle_.onmissed = settings.onmissed;
    handle_.onpart = settings.onpart;
    handle_.onsession = settings.onsession;
    handle_.sockfd = transport_.fd();
    handle_.sa = &address_;
    handle_.ctx = &engine.context;
    handle_.close_info = &ending_.close_info;
    handle_.priv = this;
    owned_transport_ = std::move(transport);
}

Connection::~Connection()
{
    if (free_data_)
        free_data_(data_);
}

int Connection::start()
{
    const libwebsock_context &settings = engine_.settings;
    int error = engine_.registry.add(
        *this, {.connections = settings.max_connections, .handshakes = settings.max_handshakes});
    if (error != 0)
        return error;
    const ThreadOptions options{
        .name = "ws-connection", .stack_bytes = settings.connection_stack_bytes, .batch = true};
    const auto job = [](void *self) { static_cast<Connection *>(self)->serve(); };
    error = engine_.threads.run(options, job, this);
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
            serve_open();
    } catch (const std::bad_alloc &) {
        engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s: out of memory", peer_.c_str());
        outbox_.drop("out of memory");
    }
    finish();
    engine_.registry.thread_ends(*this);
    side_is_done();
}

void Connection::serve_open()
{
    // For its handshake. Given back once the peer is silent: whoever is as busy as this, and the
    // next connection of this thread, would only have to touch it again.
    has_used_stack_ = tls_ != nullptr;
    Reading reading = begin_reading();
    if (!run_session(reading))
        read_frames(reading);
}

// Called by the connection's thread when it has nothing more to do here, and by the worker that has
// run onclose; if no worker is to come, twice by the former.
void Connection::side_is_done()
{
    if (sides_left_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        leave_server();
}

// Nothing of the server is used after remove(): the server's end may be waiting for just that.
void Connection::leave_server()
{
    engine_.dispatcher.forget(*this);
    engine_.threads.reap();
    if (inflation())
        engine_.compression.connection_ends();
    owned_transport_.reset();
    engine_.registry.remove(*this);
}

int Connection::queue_or_close(const Ref<Message> &message)
{
    const int error = outbox_.queue_or_close(message);
    if (error == ENOBUFS) {
        inbox_.drop_overflow();
        engine_.log.write(LIBWEBSOCK_LOG_INFO,
                          "%s: closed with 1008: more than %zu bytes wait for it", peer_.c_str(),
                          limits_.queued.load());
    }
    return error;
}

int Connection::close(uint16_t code, std::string_view reason, By by)
{
    const int error = outbox_.close(code, reason, by);
    inbox_.drop_overflow();
    return error;
}

int Connection::set_limit(int which, uint64_t n)
{
    if (!outbox_.in_callback() || !may_set_limits_)
        return EPERM;
    switch (which) {
    case LIBWEBSOCK_LIMIT_MESSAGE:
    case LIBWEBSOCK_LIMIT_FRAME:
        if (!is_payload_limit(n))
            return EINVAL;
        (which == LIBWEBSOCK_LIMIT_FRAME ? limits_.frame : limits_.message) =
            static_cast<size_t>(n);
        break;
    case LIBWEBSOCK_LIMIT_QUEUED:
        if (n == 0 || n > SIZE_MAX)
            return EINVAL;
        limits_.queued = static_cast<size_t>(n);
        outbox_.limit_queue(static_cast<size_t>(n));
        break;
    case LIBWEBSOCK_LIMIT_IDLE_MS:
        if (n > INT_MAX)
            return EINVAL;
        limits_.idle_ms = static_cast<int>(n);
        break;
    case LIBWEBSOCK_LIMIT_CONCURRENCY:
        if (n == 0 || n > INT_MAX)
            return EINVAL;
        inbox_.limit_running(static_cast<size_t>(n));
        break;
    default:
        return EINVAL;
    }
    limits_version_.fetch_add(1, std::memory_order_release);
    return 0;
}

int Connection::start_timer(int first_ms, int every_ms, ProgramFunction &function, uint64_t &number)
{
    const Outbox::State state = outbox_.state();
    if (state == Outbox::State::opening || state == Outbox::State::ended)
        return ENOTCONN;
    return engine_.timers.add({&timers_, first_ms, every_ms}, function, number);
}

void Connection::set_data(void *data, ProgramFunction::FreeArg free_data)
{
    const auto free_last = free_data_;
    void *const last = data_;
    handle_.data = data_ = data;
    free_data_ = free_data;
    if (free_last && last != data)
        free_last(last);
}

void Connection::drop(std::string_view reason, By by)
{
    outbox_.drop(reason, by);
    inbox_.cut_off();
    hook_.abandon();
}

void Connection::abandon(std::string_view reason, By by)
{
    inbox_.discard();
    drop(reason, by);
}

void Connection::go_away()
{
    if (outbox_.state() == Outbox::State::opening)
        drop("the server is stopping", By::program);
    else
        (void)close(WS_CLOSE_GOING_AWAY, "");
}

void Connection::add_traffic_to(Registry::Traffic &sum)
{
    const Outbox::Totals out = outbox_.totals();
    sum.messages_in += messages_in_.load(std::memory_order_relaxed);
    sum.messages_out += out.messages;
    sum.bytes_in += bytes_in_.load(std::memory_order_relaxed);
    sum.bytes_out += out.bytes;
    sum.send_timeouts += out.timed_out;
    sum.uncompressed += out.uncompressed;
    sum.deflated.add(out.compressed, out.bytes_before, out.bytes_after);
    if (const Inflation *const in = inflation())
        sum.inflated.add(in->messages, in->bytes_before, in->bytes_after);
    sum.events_waiting += inbox_.waiting();
}

} // namespace websock
