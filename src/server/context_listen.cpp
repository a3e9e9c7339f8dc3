// context_listen.cpp: the sockets a Context listens on, with TLS or without, and how an accepted
// socket, or one that the user hands over, becomes a connection. See context.h.
#include "server/context.h"

#include "connection/connection.h"
#include "transport/socket.h"

#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>

namespace websock {

namespace {

constexpr const char *kNoRoomName = "refused, no room"; // in the log, when many are summed up

} // namespace

int Context::bind(const char *host, const char *port) { return listen(host, port, nullptr); }

int Context::bind_tls(const char *host, const char *port, const libwebsock_tls_options &given)
{
    if (in_forked_child())
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
    if (in_forked_child())
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
    if (in_forked_child())
        return EPERM;
    std::string why;
    std::vector<std::string> warnings;
    const int error = exchange_certificates(why, warnings);
    // Without the lock: onlog may call back into this context.
    log_warnings(warnings);
    if (error != 0)
        engine_.log.write(LIBWEBSOCK_LOG_ERROR,
                          "certificates not reloaded, the old ones stay in use: %s",
                          why.empty() ? std::strerror(error) : why.c_str());
    return error;
}

// All or nothing: no listener gets a new certificate while another one's is bad.
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
    if (in_forked_child())
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
    (void)socket.release(); // it is the connection's by now, or still the caller's
    if (error == 0)
        return 0;
    send_no_room(fd);
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
        if (const size_t bytes = engine_.settings.send_buffer_bytes; bytes > 0)
            limit_unsent(socket.get(), bytes);
        transport = tls ? make_tls_transport(socket, tls->config(), engine_.handshakes)
                        : make_plain_transport(socket);
        const Ref<Connection> connection = Connection::make(engine_, transport, peer);
        error = connection->start();
        if (error != 0)
            transport = connection->give_back();
    } catch (const std::bad_alloc &) {
        // What the transport has taken over by now is given back below.
    }
    if (transport)
        socket = transport->give_back();
    if (error != 0)
        engine_.registry.count_refused(Registry::Refused::no_room);
    return error;
}

// Returns the socket if there is no room for it.
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
                                  "unknown peer: refused, no room: %s", why);
    }
    return socket;
}

int Context::port()
{
    Lock lock(mutex_);
    return listeners_.empty() ? -1 : port_of(listeners_.front()->fd());
}

} // namespace websock
