// client.cpp: the test client's socket and its deadlines; see client.h. What goes over the
// socket is in client_protocol.cpp, and with or without TLS is stream.h's.
#include "client.h"

#include <algorithm>
#include <array>
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

[[noreturn]] void fail_errno(const std::string &what) { fail(what + ": " + std::strerror(errno)); }

Clock::time_point deadline_from_now() { return Clock::now() + kDeadline; }

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

Client::Client(int port, const Options &options) : extensions_(options.extensions)
{
    try {
        connect(options, port);
        if (options.transport == Transport::tls)
            shake_hands(options.tls);
        else
            stream_ = make_plain_stream(fd_);
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

Client::Client(Client &&other) noexcept
    : fd_(std::exchange(other.fd_, -1)), stream_(std::move(other.stream_)),
      tls_(std::exchange(other.tls_, nullptr)), input_(std::move(other.input_)),
      position_(other.position_), bytes_sent_(other.bytes_sent_),
      bytes_received_(other.bytes_received_), extensions_(std::move(other.extensions_)),
      inflate_(std::move(other.inflate_)), deflate_(std::move(other.deflate_)),
      inflate_each_(other.inflate_each_), deflate_each_(other.deflate_each_),
      in_compressed_(other.in_compressed_)
{
}

Client::~Client()
{
    if (fd_ != -1)
        ::close(fd_);
}

void Client::connect(const Options &options, int port)
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
    if (error != 0)
        fail(std::string("connect: ") + std::strerror(error));
}

void Client::shake_hands(const TlsOptions &options)
{
    std::unique_ptr<TlsStream> stream = TlsStream::make(fd_, options);
    tls_ = stream.get();
    stream_ = std::move(stream);
    Clock::time_point deadline = deadline_from_now();
    for (;;) {
        TlsStream::Handshake state = tls_->handshake_now();
        if (state == TlsStream::Handshake::done)
            return;
        if (state == TlsStream::Handshake::failed && options.may_be_refused)
            return;
        if (state == TlsStream::Handshake::failed)
            fail("TLS handshake: " + tls_->error());
        short events = state == TlsStream::Handshake::wants_input ? POLLIN : POLLOUT;
        if (!wait_for(fd_, events, deadline))
            fail("the TLS handshake got nowhere before the deadline");
    }
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

TlsStream &Client::tls()
{
    if (tls_ == nullptr)
        fail("this client has no TLS");
    return *tls_;
}

ssize_t Client::fill_now()
{
    // Not input_ itself: that would be cleared for each read, of which there are many small ones.
    // Nor thread-local: the stack of each thread, the smallest ones too, would have to hold it.
    std::array<char, 65536> buffer;
    const ssize_t n = stream_->read_now(buffer.data(), buffer.size());
    const size_t received = n > 0 ? static_cast<size_t>(n) : 0;
    input_.erase(0, position_);
    position_ = 0;
    input_.append(buffer.data(), received);
    bytes_received_ += received;
    return n;
}

bool Client::fill(Clock::time_point deadline)
{
    for (;;) {
        ssize_t n = fill_now();
        if (n >= 0)
            return n > 0;
        if (!wait_for(fd_, POLLIN, deadline))
            fail("nothing came before the deadline");
    }
}

std::string Client::take(size_t len, Clock::time_point deadline)
{
    while (input_.size() - position_ < len)
        if (!fill(deadline))
            fail_at_end();
    position_ += len;
    return input_.substr(position_ - len, len);
}

void Client::fail_at_end()
{
    switch (stream_->end()) {
    case End::eof:
        fail("unexpected end");
    case End::reset:
        fail("unexpected reset");
    case End::truncated:
        fail("unexpected end, and without close_notify");
    case End::refused:
        fail("TLS: " + tls_->error());
    }
    fail("unexpected end of no kind");
}

void Client::send_raw(std::string_view bytes)
{
    Clock::time_point deadline = deadline_from_now();
    while (!bytes.empty() || !stream_->flush_now()) {
        ssize_t n = bytes.empty() ? -1 : stream_->write_now(bytes);
        if (n == -1 && !wait_for(fd_, POLLOUT, deadline))
            fail("the server took nothing before the deadline");
        size_t sent = n > 0 ? static_cast<size_t>(n) : 0;
        bytes.remove_prefix(sent);
        bytes_sent_ += sent;
    }
}

size_t Client::send_now(std::string_view bytes)
{
    size_t sent = 0;
    while (sent < bytes.size()) {
        ssize_t n = stream_->write_now(bytes.substr(sent));
        if (n == -1)
            break;
        sent += static_cast<size_t>(n);
    }
    bytes_sent_ += sent;
    return sent;
}

bool Client::writable_within(std::chrono::milliseconds patience)
{
    return wait_for(fd_, POLLOUT, Clock::now() + patience);
}

bool Client::has_input() { return position_ < input_.size() || fill_now() != -1; }

void Client::half_close() { stream_->end_writing(); }

void Client::cut_off()
{
    if (::shutdown(fd_, SHUT_WR) != 0)
        fail_errno("shutdown");
}

void Client::reset()
{
    linger now{1, 0};
    if (::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0)
        fail_errno("setsockopt");
    stream_.reset();
    tls_ = nullptr;
    ::close(fd_);
    fd_ = -1;
}

End Client::receive_end()
{
    if (position_ < input_.size() || fill(deadline_from_now()))
        fail("expected the end, got more bytes");
    stream_->end_writing(); // as clients do: the server waits for our end, too
    return stream_->end();
}

void Client::expect_eof()
{
    if (receive_end() != End::eof)
        fail_at_end();
}

End Client::drain()
{
    Clock::time_point deadline = deadline_from_now();
    do {
        position_ = input_.size();
    } while (fill(deadline));
    stream_->end_writing();
    return stream_->end();
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
