// context.cpp: see context.h.
#include "server/context.h"

#include "connection/connection.h"
#include "protocol/handshake.h"
#include "server/default_callbacks.h"
#include "server/settings.h"
#include "server/signals.h"
#include "transport/socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>
#include <openssl/crypto.h>
#include <optional>
#include <sys/eventfd.h>
#include <unistd.h>

namespace websock {

namespace {

constexpr const char *kNoRoomName = "refused, no room"; // many of them, in the log

constexpr int kGraceMs = 1000; // for callbacks that wait for a socket which was just cut
constexpr int kLookMs = 50;    // how soon a drain hears of a second signal

// Whether done(until), which waits, was true before the deadline, and before anybody was
// in a hurry.
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
    // Or a process that calls exit() takes OpenSSL away from threads that still run.
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
    set_default_callbacks(handle_);
    set_default_settings(handle_, max_frame_payload);
    handle_.priv = this;
}

// In a child that was forked while the server ran, which has neither its threads nor a right
// to its clients. Before any lock: whoever held it then is not here to let go of it.
bool Context::is_another_process_s() const noexcept
{
    const pid_t pid = server_pid_;
    return pid != 0 && pid != getpid();
}

int Context::stop() noexcept
{
    if (is_another_process_s())
        return EPERM;
    stopped_ = true;
    wake();
    return 0;
}

void Context::wake() noexcept
{
    const int fd = wake_fd_;
    if (fd < 0)
        return; // run() will see what is in stopped_
    const int saved_errno = errno;
    const uint64_t one = 1;
    // It fails only when it is full, and then it is readable already.
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
    errno = saved_errno;
}

int Context::bind(const char *host, const char *port) { return listen(host, port, nullptr); }

int Context::bind_tls(const char *host, const char *port, const libwebsock_tls_options &given)
{
    if (is_another_process_s())
        return EPERM;
    TlsOptions options;
    TlsConfig::Loaded loaded;
    loaded.error = copy_options(given, options, loaded.why);
    if (loaded.error == 0)
        loaded = TlsConfig::load(options);
    log_warnings(loaded.warnings);
    if (loaded.error != 0)
        return cannot_listen(host, port, loaded.error, loaded.why);
    return listen(host, port,
                  std::make_shared<TlsIdentity>(std::move(options), std::move(loaded.config)));
}

int Context::cannot_listen(const char *host, const char *port, int error, const std::string &why)
{
    engine_.log.write(LIBWEBSOCK_LOG_ERROR, "cannot listen on %s port %s: %s",
                      host && *host ? host : "*", port,
                      why.empty() ? std::strerror(error) : why.c_str());
    return error;
}

void Context::log_warnings(const std::vector<std::string> &warnings)
{
    for (const std::string &warning : warnings)
        engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s", warning.c_str());
}

int Context::listen(const char *host, const char *port, std::shared_ptr<TlsIdentity> tls)
{
    if (is_another_process_s())
        return EPERM;
    std::vector<UniqueFd> sockets;
    std::string why;
    int error = stopped_ ? ESHUTDOWN : listen_on(host, port, sockets, why);
    if (error == 0)
        error = add_listener(sockets, std::move(tls));
    return error == 0 ? 0 : cannot_listen(host, port, error, why);
}

int Context::reload_tls()
{
    if (is_another_process_s())
        return EPERM;
    std::string why;
    std::vector<std::string> warnings;
    const int error = exchange_certificates(why, warnings);
    // Without the lock: onlog may come back here.
    log_warnings(warnings);
    if (error != 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "the certificates stay as they are: %s",
                          why.empty() ? std::strerror(error) : why.c_str());
    return error;
}

// All or nothing: a listener does not get its new certificate while another one's is bad.
int Context::exchange_certificates(std::string &why, std::vector<std::string> &warnings)
{
    Lock reload_lock(reload_mutex_);
    std::vector<std::shared_ptr<TlsIdentity>> identities;
    {
        Lock lock(mutex_);
        if (state_ == State::ended)
            return ESHUTDOWN;
        for (const std::unique_ptr<Listener> &listener : listeners_) {
            if (listener->tls())
                identities.push_back(listener->tls());
        }
    }
    if (identities.empty()) {
        why = "no listener has TLS";
        return EINVAL;
    }
    std::vector<std::shared_ptr<const TlsConfig>> configs;
    for (const std::shared_ptr<TlsIdentity> &identity : identities) {
        TlsConfig::Loaded loaded = TlsConfig::load(identity->options());
        std::move(loaded.warnings.begin(), loaded.warnings.end(), std::back_inserter(warnings));
        if (loaded.error != 0) {
            why = std::move(loaded.why);
            return loaded.error;
        }
        configs.push_back(std::move(loaded.config));
    }
    for (size_t i = 0; i < identities.size(); ++i)
        identities[i]->replace(std::move(configs[i]));
    return 0;
}

// Takes the sockets over, unless it fails.
int Context::add_listener(std::vector<UniqueFd> &sockets, std::shared_ptr<TlsIdentity> tls)
try {
    Lock lock(mutex_);
    if (state_ == State::ended)
        return ESHUTDOWN;
    listeners_.reserve(listeners_.size() + 1);
    std::unique_ptr<Listener> listener =
        std::make_unique<Listener>(std::move(sockets), std::move(tls));
    const int error = accepting_ ? start_listener(*listener) : 0;
    if (error == 0)
        listeners_.push_back(std::move(listener));
    else
        sockets = listener->give_back();
    return error;
} catch (const std::bad_alloc &) {
    return ENOMEM;
}

int Context::start_listener(Listener &listener)
{
    return listener.start(
        stop_fd_.get(),
        [this, &listener](UniqueFd socket, const sockaddr_storage &peer) {
            return admit(std::move(socket), peer, listener);
        },
        [this] {
            engine_.registry.count_accepted();
            engine_.registry.count_refused(Registry::Refused::no_room);
        },
        [this](const char *text) { engine_.log.write(LIBWEBSOCK_LOG_WARNING, "%s", text); });
}

int Context::bind_socket(int fd)
{
    if (is_another_process_s())
        return EPERM;
    SocketKind kind{};
    int error = stopped_ ? ESHUTDOWN : classify_socket(fd, kind);
    if (error == 0)
        error = kind == SocketKind::listening ? adopt_listening(fd) : adopt_connected(fd);
    if (error != 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "cannot use fd %d: %s", fd, std::strerror(error));
    return error;
}

int Context::adopt_listening(int fd)
{
    std::vector<UniqueFd> sockets;
    sockets.reserve(1);
    const bool was_blocking = is_blocking(fd);
    int error = set_blocking(fd, false);
    if (error == 0)
        error = set_close_on_exec(fd);
    if (error != 0)
        return error;
    sockets.emplace_back(fd);
    error = add_listener(sockets, nullptr);
    for (UniqueFd &socket : sockets)
        (void)socket.release(); // it is still the caller's
    if (error != 0)
        (void)set_blocking(fd, was_blocking);
    return error;
}

int Context::adopt_connected(int fd)
{
    if (const int error = begin(false); error != 0)
        return error;
    const bool was_blocking = is_blocking(fd);
    int error = set_blocking(fd, true);
    if (error == 0)
        error = set_close_on_exec(fd);
    if (error != 0)
        return error;
    UniqueFd socket(fd);
    error = serve(socket, peer_of(fd), nullptr);
    (void)socket.release(); // the connection's by now, or still the caller's
    if (error == 0)
        return 0;
    send_best_effort(fd, kNoRoom);
    (void)set_blocking(fd, was_blocking);
    return error;
}

// Makes an accepted socket a connection. Takes it over, unless it fails.
int Context::serve(UniqueFd &socket, const sockaddr_storage &peer, TlsIdentity *tls)
{
    std::unique_ptr<Transport> transport;
    int error = ENOMEM;
    engine_.registry.count_accepted();
    if (tls && !engine_.handshakes.let_in()) {
        engine_.registry.count_refused(Registry::Refused::no_room);
        return EAGAIN;
    }
    try {
        set_no_delay(socket.get());
        transport = tls ? make_tls_transport(socket, tls->config(), engine_.handshakes)
                        : make_plain_transport(socket);
        const Ref<Connection> connection = Connection::make(engine_, transport, peer);
        error = connection->start();
        if (error != 0)
            transport = connection->give_back();
    } catch (const std::bad_alloc &) {
        // What has been taken over by then is given back below.
    }
    if (transport)
        socket = transport->give_back();
    if (error != 0)
        engine_.registry.count_refused(Registry::Refused::no_room);
    return error;
}

// The socket comes back if there is no room for it.
UniqueFd Context::admit(UniqueFd socket, const sockaddr_storage &peer,
                        const Listener &listener) noexcept
{
    const int error = serve(socket, peer, listener.tls().get());
    if (error == 0)
        return {};
    const char *why = error == EAGAIN ? "no thread, or max_connections or max_handshakes reached"
                                      : std::strerror(error);
    try {
        engine_.log.write_limited(kNoRoomName, LIBWEBSOCK_LOG_WARNING, "%s: refused, no room: %s",
                                  printable_address(peer).c_str(), why);
    } catch (const std::bad_alloc &) {
        engine_.log.write_limited(kNoRoomName, LIBWEBSOCK_LOG_WARNING,
                                  "somebody: refused, no room: %s", why);
    }
    return socket;
}

// Freezes the settings and starts the threads that all connections share, if that has
// not been done. waits: for libwebsock_wait, which one thread may be in.
int Context::begin(bool waits)
{
    int error = 0;
    BadSetting bad;
    const char *what = "cannot start";
    if (is_another_process_s())
        return EPERM;
    {
        Lock lock(mutex_);
        if (waits && waiting_)
            return EBUSY;
        if (waits && state_ == State::fresh && listeners_.empty()) {
            error = EINVAL;
            what = "nothing is bound to wait for";
        } else if (state_ == State::ended) {
            return ESHUTDOWN;
        } else if (state_ == State::fresh) {
            bad = bad_setting(handle_);
            error = bad.name ? EINVAL : run();
        }
        waiting_ = waiting_ || (waits && error == 0);
    }
    // Without the lock: onlog may look at the context.
    if (bad.name && bad.least > 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "the setting %s is out of range: at least %zu",
                          bad.name, bad.least);
    else if (bad.name)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "the setting %s is out of range", bad.name);
    else if (error != 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "%s: %s", what, std::strerror(error));
    return error;
}

int Context::run()
{
    engine_.settings = handle_;
    // OpenSSL starts itself on first use: here, where there is stack and nobody waits.
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
    const int look_ms = Stall::look_ms(handle_.send_timeout_ms);
    if (const int error = engine_.flusher.start(look_ms); error != 0)
        return error;
    if (const int error = engine_.dispatcher.start(std::move(options)); error != 0) {
        engine_.flusher.stop();
        return error;
    }
    engine_.log.attach(engine_.dispatcher);
    server_pid_ = getpid();
    state_ = State::running;
    wake_fd_ = stop_fd_.get();
    if (stopped_)
        wake();
    return 0;
}

// Unless there is one: of an earlier run() that failed, in this process.
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
    // The first signal is what stopped us, unless something else did.
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
            (void)stop(); // for those that have started
            return error;
        }
    }
    while (wait_readable(stop_fd_.get(), kNever) != 0) {
        // Only for want of memory: there is nothing else to do than to ask again.
    }
    return 0;
}

// Ends everything that run() and accept_until_stopped() have started, in their order
// reversed. ETIMEDOUT: some callback does not return. May be called again then, and waits
// no longer than for what is about to end.
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
    // The workers may go only when no connection can post any more.
    if (!end_connections(deadline, hurried) || !end_workers(deadline, hurried)) {
        if (!again)
            report_stuck(std::min(drain_ms, kGraceMs));
        Lock lock(mutex_);
        gave_up_ = true;
        return ETIMEDOUT;
    }
    engine_.flusher.stop();
    engine_.threads.stop();
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

// One may still be in onlog.
bool Context::end_workers(TimePoint deadline, const Hurried &hurried)
{
    const auto stop = [this](TimePoint until) { return engine_.dispatcher.stop(until); };
    return is_done(stop, std::max(deadline, in_ms(kGraceMs)), hurried) ||
           (hurried() && stop(in_ms(kGraceMs)));
}

void Context::report_stuck(int ms)
{
    try {
        const std::string names = engine_.dispatcher.stuck_in(ms);
        engine_.log.write_here(LIBWEBSOCK_LOG_ERROR, "callbacks do not return: %s",
                               names.empty() ? "none now" : names.c_str());
    } catch (const std::bad_alloc &) {
        engine_.log.write_here(LIBWEBSOCK_LOG_ERROR, "%s", "callbacks do not return");
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

int Context::port()
{
    Lock lock(mutex_);
    return listeners_.empty() ? -1 : port_of(listeners_.front()->fd());
}

int Context::send_all(std::span<const uint8_t> frame)
{
    if (is_another_process_s())
        return EPERM;
    int result = 0;
    for (const Ref<Connection> &connection : engine_.registry.snapshot()) {
        if (connection->offer(frame) == ENOMEM)
            result = ENOMEM; // the others get it all the same
    }
    return result;
}

} // namespace websock
