// connect.cpp: see connect.h.
#include "redis_connection/connect.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace websock::redis {

namespace {

struct FreeAddresses {
    void operator()(addrinfo *addresses) const { freeaddrinfo(addresses); }
};

// Waits for connect(2) to end, or for a stop.
int wait_connected(int fd, TimePoint deadline, const StopSignal &stop)
{
    for (;;) {
        std::array<pollfd, 2> fds{pollfd{fd, POLLOUT, 0}, pollfd{stop.fd(), POLLIN, 0}};
        const int n = ::poll(fds.data(), fds.size(), ms_until(deadline));
        if (n < 0 && errno != EINTR)
            return errno;
        if (stop.raised())
            return ECANCELED;
        if (n > 0)
            break;
        if (Clock::now() >= deadline)
            return ETIMEDOUT;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int connect_socket(const sockaddr *address, socklen_t size, TimePoint deadline,
                   const StopSignal &stop, UniqueFd &fd)
{
    fd = above_stdio(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd)
        return errno;
    if (::connect(fd.get(), address, size) == 0)
        return 0;
    // A Unix socket whose queue is full says EAGAIN; the caller tries again later.
    return errno == EINPROGRESS ? wait_connected(fd.get(), deadline, stop) : errno;
}

int connect_unix(const std::string &path, TimePoint deadline, const StopSignal &stop, UniqueFd &fd)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return ENAMETOOLONG;
    std::memcpy(address.sun_path, path.data(), path.size());
    return connect_socket(reinterpret_cast<const sockaddr *>(&address), sizeof address, deadline,
                          stop, fd);
}

int connect_tcp(const Address &address, TimePoint deadline, const StopSignal &stop, UniqueFd &fd,
                std::string &why)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    const int unknown = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
    if (unknown != 0) {
        why = gai_strerror(unknown);
        return unknown == EAI_MEMORY ? ENOMEM : ENOENT;
    }
    int error = ENOENT;
    for (const addrinfo *at = addresses.get(); at; at = at->ai_next) {
        error = connect_socket(at->ai_addr, at->ai_addrlen, deadline, stop, fd);
        if (error == 0 || error == ECANCELED)
            return error;
    }
    return error;
}

// Commands wait for one another, so none may wait for the delayed acknowledgement of the one before
// it. And the peer's host may vanish while nothing is sent.
void set_options(int fd)
{
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

} // namespace

int connect_to(const Address &address, int timeout_ms, const StopSignal &stop, UniqueFd &fd,
               std::string &why)
{
    const TimePoint deadline = in_ms(timeout_ms);
    why.clear();
    const int error = address.path.empty() ? connect_tcp(address, deadline, stop, fd, why)
                                           : connect_unix(address.path, deadline, stop, fd);
    if (error != 0) {
        fd.reset();
        if (why.empty())
            why = std::strerror(error);
        return error;
    }
    if (address.path.empty())
        set_options(fd.get());
    return 0;
}

} // namespace websock::redis
