// link.cpp: see link.h.
#include "link.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

namespace siege {

namespace {

int begin_connect(uint16_t port, int receive_buffer)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        bench::give_up("no socket: is the limit of open files high enough?");
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    // A reset at the end, so that no port is blocked for minutes.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // A failure shows when the socket is used.
    (void)connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address);
    return fd;
}

bool is_later(int error)
{
    return error == EAGAIN || error == ENOTCONN; // not connected yet
}

} // namespace

Link::Link(uint16_t port, bench::TlsClient *tls, int receive_buffer)
    : fd_(begin_connect(port, receive_buffer)), ssl_(tls ? tls->make(fd_) : nullptr)
{
}

Link::~Link()
{
    if (ssl_)
        SSL_set_quiet_shutdown(ssl_.get(), 1);
    ssl_.reset();
    (void)close(fd_);
}

Progress Link::secure()
{
    if (!ssl_)
        return Progress::done;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1)
        return Progress::done;
    return later_or_ended(result) ? Progress::later : Progress::ended;
}

Progress Link::update_keys()
{
    if (!ssl_)
        return Progress::ended;
    ERR_clear_error();
    // Refused while the previous one is still to be sent.
    (void)SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
    return secure(); // sends it
}

std::optional<size_t> Link::receive(std::span<char> into)
{
    if (!ssl_) {
        const ssize_t n = recv(fd_, into.data(), into.size(), 0);
        if (n > 0)
            return static_cast<size_t>(n);
        return n < 0 && is_later(errno) ? std::optional<size_t>(0) : std::nullopt;
    }
    ERR_clear_error();
    size_t n = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
    return result == 1 ? std::optional(n) : later_or_ended(result);
}

std::optional<size_t> Link::send(std::string_view bytes)
{
    if (!ssl_) {
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0)
            return static_cast<size_t>(n);
        return is_later(errno) ? std::optional<size_t>(0) : std::nullopt;
    }
    ERR_clear_error();
    size_t n = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n);
    return result == 1 ? std::optional(n) : later_or_ended(result);
}

std::optional<size_t> Link::later_or_ended(int result) const
{
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_SYSCALL:
        return is_later(errno) ? std::optional<size_t>(0) : std::nullopt;
    default:
        return std::nullopt;
    }
}

} // namespace siege
