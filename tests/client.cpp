// client.cpp: the socket of the test client of client.h, and its deadlines. What goes
// over it is client_protocol.cpp's.
#include "client.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace test {

namespace {

[[noreturn]] void fail_errno(const std::string &what)
{
    fail(what + ": " + std::strerror(errno));
}

Clock::time_point deadline_from_now()
{
    return Clock::now() + kDeadline;
}

bool wait_for(int fd, short events, Clock::time_point deadline)
{
    for (;;) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd entry{fd, events, 0};
        int n = ::poll(&entry, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
        if (n > 0)
            return true;
        if (n == 0)
            return false;
        if (errno != EINTR)
            fail_errno("poll");
    }
}

void set_buffer(int fd, int option, int bytes)
{
    if (bytes != 0 && ::setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes) != 0)
        fail_errno("setsockopt");
}

socklen_t make_address(const char *host, int port, sockaddr_storage &address)
{
    address = {};
    auto *v4 = reinterpret_cast<sockaddr_in *>(&address);
    if (::inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(static_cast<uint16_t>(port));
        return sizeof *v4;
    }
    auto *v6 = reinterpret_cast<sockaddr_in6 *>(&address);
    if (::inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        fail("no numeric address");
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    return sizeof *v6;
}

} // namespace

Client::Client(int port, const Options &options)
{
    sockaddr_storage address;
    socklen_t len = make_address(options.host, port, address);
    fd_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ == -1)
        fail_errno("socket");
    set_buffer(fd_, SO_RCVBUF, options.receive_buffer);
    set_buffer(fd_, SO_SNDBUF, options.send_buffer);
    int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int error = ::connect(fd_, reinterpret_cast<sockaddr *>(&address), len) == 0 ? 0 : errno;
    socklen_t error_len = sizeof error;
    if (error == EINPROGRESS && wait_for(fd_, POLLOUT, deadline_from_now()))
        ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_len);
    if (error == 0)
        return;
    ::close(fd_);
    fail(std::string("connect: ") + std::strerror(error));
}

Client::Client(Client &&other) noexcept
    : fd_(other.fd_), input_(std::move(other.input_)), position_(other.position_), end_(other.end_),
      bytes_sent_(other.bytes_sent_), bytes_received_(other.bytes_received_)
{
    other.fd_ = -1;
}

Client::~Client()
{
    if (fd_ != -1)
        ::close(fd_);
}

Client Client::open(int port, std::string_view target, std::string_view headers)
{
    Client client(port);
    client.handshake(target, headers);
    return client;
}

Client Client::over(int fd)
{
    if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        fail_errno("fcntl");
    return Client(nullptr, fd);
}

size_t Client::read_some(char *buffer, size_t len, Clock::time_point deadline)
{
    for (;;) {
        ssize_t n = ::recv(fd_, buffer, len, 0);
        if (n >= 0) {
            end_ = End::eof;
            bytes_received_ += static_cast<uint64_t>(n);
            return static_cast<size_t>(n);
        }
        if (errno == ECONNRESET || errno == EPIPE) {
            end_ = End::reset;
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR)
            fail_errno("recv");
        if (!wait_for(fd_, POLLIN, deadline))
            fail("nothing came before the deadline");
    }
}

size_t Client::write_some(std::string_view bytes, Clock::time_point deadline)
{
    for (;;) {
        ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            bytes_sent_ += static_cast<uint64_t>(n);
            return static_cast<size_t>(n);
        }
        if (errno != EAGAIN && errno != EINTR)
            fail_errno("send");
        if (!wait_for(fd_, POLLOUT, deadline))
            fail("the server took nothing before the deadline");
    }
}

bool Client::fill(Clock::time_point deadline)
{
    input_.erase(0, position_);
    position_ = 0;
    size_t old = input_.size();
    input_.resize(old + 65536);
    size_t n = 0;
    try {
        n = read_some(input_.data() + old, 65536, deadline);
    } catch (...) {
        input_.resize(old);
        throw;
    }
    input_.resize(old + n);
    return n != 0;
}

std::string Client::take(size_t len, Clock::time_point deadline)
{
    while (input_.size() - position_ < len)
        if (!fill(deadline))
            fail(end_ == End::eof ? "unexpected end" : "unexpected reset");
    position_ += len;
    return input_.substr(position_ - len, len);
}

void Client::send_raw(std::string_view bytes)
{
    Clock::time_point deadline = deadline_from_now();
    while (!bytes.empty())
        bytes.remove_prefix(write_some(bytes, deadline));
}

size_t Client::send_now(std::string_view bytes)
{
    size_t sent = 0;
    while (sent < bytes.size()) {
        ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            fail_errno("send");
        sent += n > 0 ? static_cast<size_t>(n) : 0;
    }
    bytes_sent_ += sent;
    return sent;
}

bool Client::writable_within(std::chrono::milliseconds patience)
{
    return wait_for(fd_, POLLOUT, Clock::now() + patience);
}

bool Client::has_input()
{
    return position_ < input_.size() || wait_for(fd_, POLLIN, Clock::now());
}

void Client::half_close()
{
    if (::shutdown(fd_, SHUT_WR) != 0)
        fail_errno("shutdown");
}

void Client::reset()
{
    linger now{1, 0};
    if (::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0)
        fail_errno("setsockopt");
    ::close(fd_);
    fd_ = -1;
}

End Client::receive_end()
{
    if (position_ < input_.size() || fill(deadline_from_now()))
        fail("expected the end, got more bytes");
    (void)::shutdown(fd_, SHUT_WR); // as clients do: the server waits for our end too
    return end_;
}

void Client::expect_eof()
{
    if (receive_end() != End::eof)
        fail("expected an orderly end, got a reset");
}

End Client::drain()
{
    Clock::time_point deadline = deadline_from_now();
    do {
        position_ = input_.size();
    } while (fill(deadline));
    (void)::shutdown(fd_, SHUT_WR);
    return end_;
}

std::string Client::address() const
{
    sockaddr_storage address;
    socklen_t len = sizeof address;
    if (::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &len) != 0)
        fail_errno("getsockname");
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getnameinfo(reinterpret_cast<sockaddr *>(&address), len, host, sizeof host, port,
                      sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        fail("getnameinfo");
    bool v6 = address.ss_family == AF_INET6;
    return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + port;
}

} // namespace test
