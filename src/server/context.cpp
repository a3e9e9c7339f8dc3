// context.cpp: how a server begins, runs and ends. What it listens on is in context_listen.cpp.
#include "server/context.h"

#include "connection/connection.h"
#include "protocol/handshake.h"
#include "server/broadcast.h"
#include "server/default_callbacks.h"
#include "server/settings.h"
#include "server/signals.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <openssl/crypto.h>
#include <optional>
#include <sys/eventfd.h>
#include <unistd.h>

namespace websock {

namespace {

constexpr int kGraceMs = 1000; // for callbacks that were waiting on a socket we have just cut
constexpr int kLookMs = 50;    // how often a drain looks for a second signal

// Whether done(until), which waits, became true before the deadline and before a second
// signal.
template<class Done, class Hurried>
bool is_done(const Done &done, TimePoint deadline, const Hurried &hurried)
{
    while (!done(std::min(deadline, in_ms(kLookMs)))) {
        if (Clock::now() >= deadline || hurried())
            return false;
    }
    return true;
}

} // namespace

Context::Context(size_t max_frame_payload) : engine_(handle_)
{
    // Otherwise exit() would tear OpenSSL down under threads that still run.
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    set_default_callbacks(handle_);
    set_default_settings(handle_, max_frame_payload);
    handle_.priv = this;
}

// In a child that was forked while the server ran: it has none of the threads and must not touch
// the clients. Asked before any lock is taken: the thread that held it at the fork is not here
// to release it.
bool Context::in_forked_child() const noexcept
{
    const pid_t pid = server_pid_;
    return pid != 0 && pid != getpid();
}

int Context::stop() noexcept
{
    if (in_forked_child())
        return EPERM;
    stopped_ = true;
    wake();
    return 0;
}

void Context::wake() noexcept
{
    const int fd = wake_fd_;
    if (fd < 0)
        return; // start() will look at stopped_
    const int saved_errno = errno;
    const uint64_t one = 1;
    // This fails only when the counter is full, and then the eventfd is readable already.
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
    errno = saved_errno;
}

// Freezes the settings and starts the threads that all connections share, unless that has been
// done. waits: called for libwebsock_wait, which only one thread may be in.
int Context::begin(bool waits)
{
    int error = 0;
    BadSetting bad;
    const char *what = "cannot start";
    if (in_forked_child())
        return EPERM;
    {
        Lock lock(mutex_);
        if (waits && waiting_)
            return EBUSY;
        if (waits && state_ == State::fresh && listeners_.empty()) {
            error = EINVAL;
            what = "nothing is bound";
        } else if (state_ == State::ended) {
            return ESHUTDOWN;
        } else if (state_ == State::fresh) {
            bad = bad_setting(handle_);
            error = bad.name ? EINVAL : start();
        }
        waiting_ = waiting_ || (waits && error == 0);
    }
    // Without the lock: onlog may call back into this context.
    if (bad.name && bad.least > 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "the setting %s is out of range: at least %zu",
                          bad.name, bad.least);
    else if (bad.name)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "the setting %s is out of range", bad.name);
    else if (error != 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: %s", what, std::strerror(error));
    return error;
}

int Context::start()
{
    engine_.settings = handle_;
    if (handle_.compression != 0)
        engine_.compression.watch(std::make_shared<CompressionPools>(handle_.compression_level,
                                                                     handle_.compression_history));
    // OpenSSL initialises itself on first use: do it here, on a large stack, before anybody waits.
    (void)accept_key("");
    Dispatcher::Options options{.max_workers = handle_.max_workers,
                                .stack_bytes = handle_.worker_stack_bytes,
                                .mask = {},
                                .warn = [this](const char *text) {
                                    engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s", text);
                                }};
    pthread_sigmask(SIG_SETMASK, nullptr, &options.mask);
    if (const int error = make_stop_fd(); error != 0)
        return error;
    if (const int error = topics_.start_backplane(); error != 0)
        return error;
    const int look_ms = Stall::look_ms(handle_.send_timeout_ms);
    if (const int error = engine_.flusher.start(look_ms); error != 0) {
        topics_.stop_backplane();
        return error;
    }
    int error = engine_.dispatcher.start(std::move(options));
    if (error == 0 && (error = engine_.timers.start()) != 0)
        (void)engine_.dispatcher.stop(kNever);
    if (error != 0) {
        engine_.flusher.stop();
        topics_.stop_backplane();
        return error;
    }
    engine_.log.attach(engine_.dispatcher);
    topics_.attach();
    server_pid_ = getpid();
    state_ = State::running;
    wake_fd_ = stop_fd_.get();
    if (stopped_)
        wake();
    return 0;
}

// Unless an earlier start() in this process has made one and failed later.
int Context::make_stop_fd()
{
    if (stop_fd_ && stop_fd_pid_ == getpid())
        return 0;
    UniqueFd fd = above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd)
        return errno;
    stop_fd_ = std::move(fd);
    stop_fd_pid_ = getpid();
    return 0;
}

int Context::wait()
{
    if (const int error = begin(true); error != 0)
        return error;
    std::optional<StopSignals> signals;
    if (engine_.settings.handle_signals != 0)
        signals.emplace(stop_fd_.get());
    const int accept_error = accept_until_stopped();
    // If a signal stopped us, that one has been counted already.
    const unsigned expected = stopped_.exchange(true) ? 0 : 1;
    const int drain_error = drain([&] { return signals && signals->count() > expected; });
    Lock lock(mutex_);
    waiting_ = false;
    return accept_error != 0 ? accept_error : drain_error;
}

int Context::accept_until_stopped()
{
    {
        Lock lock(mutex_);
        accepting_ = true;
        for (const std::unique_ptr<Listener> &listener : listeners_) {
            const int error = start_listener(*listener);
            if (error == 0)
                continue;
            engine_.log.write(LIBWEBSOCK_LOG_ERROR, "no thread to accept on: %s",
                              std::strerror(error));
            (void)stop(); // so that those that have started end
            return error;
        }
    }
    while (wait_readable(stop_fd_.get(), kNever) != 0) {
        // It fails only for want of memory: all we can do is try again.
    }
    return 0;
}

// Ends everything that start() and accept_until_stopped() have started, in reverse order.
// ETIMEDOUT: some callback has not returned. Then it may be called again, and waits only for
// what is about to end.
int Context::drain(const Hurried &hurried)
{
    std::vector<std::unique_ptr<Listener>> listeners;
    bool again = false;
    {
        Lock lock(mutex_);
        again = gave_up_;
        state_ = State::ended;
        accepting_ = false;
        listeners.swap(listeners_);
    }
    engine_.handshakes.stop_holding_back();
    for (const std::unique_ptr<Listener> &listener : listeners)
        listener->join();
    listeners.clear();

    Registry &registry = engine_.registry;
    registry.close();
    engine_.threads.stop_parking();
    registry.for_each([](Connection &connection) { connection.go_away(); });
    const int drain_ms = engine_.settings.drain_timeout_ms;
    const TimePoint deadline = in_ms(again ? 0 : drain_ms);
    // The workers may end only when no connection can post any more, nor a publisher.
    const bool connections_ended = end_connections(deadline, hurried);
    engine_.timers.stop();
    topics_.close();
    if (connections_ended)
        topics_.stop_backplane();
    if (!connections_ended || !end_workers(deadline, hurried)) {
        if (!again)
            report_stuck(std::min(drain_ms, kGraceMs));
        Lock lock(mutex_);
        gave_up_ = true;
        return ETIMEDOUT;
    }
    engine_.flusher.stop();
    engine_.threads.stop();
    topics_.detach();
    engine_.log.detach();
    server_pid_ = 0;
    return 0;
}

bool Context::end_connections(TimePoint deadline, const Hurried &hurried)
{
    Registry &registry = engine_.registry;
    const auto empty = [&](TimePoint until) { return registry.wait_until_empty(until); };
    if (is_done(empty, deadline, hurried))
        return true;
    const char *why = hurried() ? "cut off by a second signal" : "cut off at the drain deadline";
    registry.for_each([&](Connection &connection) { connection.abandon(why); });
    return empty(in_ms(kGraceMs));
}

// A worker may still be inside onlog.
bool Context::end_workers(TimePoint deadline, const Hurried &hurried)
{
    const auto stop = [this](TimePoint until) { return engine_.dispatcher.stop(until); };
    if (is_done(stop, std::max(deadline, in_ms(kGraceMs)), hurried))
        return true;
    const bool may_soon_be = topics_.drop_untold() || hurried();
    return may_soon_be && stop(in_ms(kGraceMs));
}

void Context::report_stuck(int ms)
{
    try {
        std::string names = engine_.dispatcher.running_for(ms);
        engine_.registry.for_each([&names](Connection &connection) {
            if (connection.in_session())
                names.append(names.empty() ? "" : ", ")
                    .append(connection.name())
                    .append(" in onsession");
        });
        engine_.log.write_here(LIBWEBSOCK_LOG_ERROR, "callbacks are still running: %s",
                               names.empty() ? "none of them for long" : names.c_str());
    } catch (const std::bad_alloc &) {
        engine_.log.write_here(LIBWEBSOCK_LOG_ERROR, "%s", "callbacks are still running");
    }
}

bool Context::end()
{
    if (stop() != 0)
        return false;
    bool ran = false;
    {
        Lock lock(mutex_);
        ran = state_ != State::fresh;
        state_ = State::ended;
    }
    return !ran || drain([] { return false; }) == 0;
}

int Context::send_all(const Message::Content &content)
{
    return in_forked_child() ? EPERM : Broadcast::send(engine_, engine_.make_message(content));
}

int Context::publish(std::string_view topic, const Message::Content &content)
{
    return in_forked_child() ? EPERM : topics_.publish(topic, content);
}

int Context::configure_topics(std::string_view prefix, const Topic::Options &options)
{
    return in_forked_child() ? EPERM : topics_.configure(prefix, options);
}

} // namespace websock
