// socket.cpp: see socket.h.
#include "transport/socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/sockios.h>
#include <linux/tcp.h> // its tcp_info has more fields than the one in netinet/tcp.h
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

namespace websock {

namespace {

constexpr int kBacklog = 4096; // the kernel limits it to net.core.somaxconn
constexpr int kAttempts = 20;  // at finding a port that is free on every address

// A number from 0 to 65535, or a service's name. getaddrinfo(3) would also take 70000, -1 and "".
bool is_port(std::string_view port)
{
    const bool number = port.find_first_not_of("0123456789") == port.npos;
    if (number)
        return !port.empty() && port.size() <= 5 && std::stoi(std::string(port)) <= 65535;
    return port.front() != '-' && port.front() != '+';
}

int resolve(const char *host, const char *port, addrinfo *&addresses, std::string &why)
{
    if (!is_port(port)) {
        why = "no such port";
        return EINVAL;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    const char *name = host && *host ? host : nullptr;
    const int status = getaddrinfo(name, port, &hints, &addresses);
    if (status == 0)
        return 0;
    why = status == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(status);
    if (status == EAI_SYSTEM)
        return errno;
    return status == EAI_MEMORY ? ENOMEM : ENOENT;
}

int port_in(const sockaddr_storage &address)
{
    if (address.ss_family == AF_INET)
        return ntohs(reinterpret_cast<const sockaddr_in &>(address).sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6 &>(address).sin6_port);
    return -1;
}

void set_port(sockaddr_storage &address, int port)
{
    const in_port_t number = htons(static_cast<in_port_t>(port));
    if (address.ss_family == AF_INET)
        reinterpret_cast<sockaddr_in &>(address).sin_port = number;
    else if (address.ss_family == AF_INET6)
        reinterpret_cast<sockaddr_in6 &>(address).sin6_port = number;
}

sockaddr_storage address_of(const addrinfo &from)
{
    sockaddr_storage address{};
    std::memcpy(&address, from.ai_addr, from.ai_addrlen);
    return address;
}

// What an IPv6 socket accepts: IPv6 alone, IPv4 too, or whatever the system's default is.
enum class Families { ipv6, both, by_default };

int listen_on_address(const addrinfo &from, const sockaddr_storage &address, Families families,
                      UniqueFd &listener)
{
    UniqueFd fd = above_stdio(
        socket(from.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, from.ai_protocol));
    if (!fd)
        return errno;
    const int on = 1;
    // So that a restart need not wait for TIME_WAIT. If it fails, the server works all the same.
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int ipv6_only = families == Families::ipv6 ? 1 : 0;
    if (families != Families::by_default && from.ai_family == AF_INET6)
        (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &ipv6_only, sizeof ipv6_only);
    if (bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), from.ai_addrlen) != 0)
        return errno;
    if (listen(fd.get(), kBacklog) != 0)
        return errno;
    listener = std::move(fd);
    return 0;
}

// One socket for both families, or an IPv4 socket where there is no IPv6.
int listen_on_any(const addrinfo *addresses, std::vector<UniqueFd> &listeners)
{
    int error = ENOENT;
    for (const int family : {AF_INET6, AF_UNSPEC}) {
        for (const addrinfo *address = addresses; address; address = address->ai_next) {
            if (family == AF_INET6 && address->ai_family != AF_INET6)
                continue;
            UniqueFd listener;
            error = listen_on_address(*address, address_of(*address), Families::both, listener);
            if (error != 0)
                continue;
            listeners.push_back(std::move(listener));
            return 0;
        }
    }
    return error;
}

bool is_same(const addrinfo &one, const addrinfo &other)
{
    return one.ai_family == other.ai_family && one.ai_addrlen == other.ai_addrlen &&
           std::memcmp(one.ai_addr, other.ai_addr, one.ai_addrlen) == 0;
}

// The hosts file may name an address twice.
bool comes_again(const addrinfo *first, const addrinfo *last)
{
    while (first != last && !is_same(*first, *last))
        first = first->ai_next;
    return first != last;
}

// Whether the error means that an address is another machine's, or of a family that this one does
// not have. bind(2) says EINVAL to a link-local address without its interface.
bool is_not_here(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EINVAL;
}

int listen_on_each(const addrinfo *addresses, std::vector<UniqueFd> &listeners)
{
    const Families families = addresses->ai_next ? Families::ipv6 : Families::by_default;
    int not_here = ENOENT;
    listeners.clear();
    for (const addrinfo *from = addresses; from; from = from->ai_next) {
        if (comes_again(addresses, from))
            continue;
        sockaddr_storage address = address_of(*from);
        if (!listeners.empty())
            set_port(address, port_of(listeners.front().get()));
        UniqueFd listener;
        const int error = listen_on_address(*from, address, families, listener);
        if (error == 0)
            listeners.push_back(std::move(listener));
        else if (is_not_here(error))
            not_here = error;
        else
            return error;
    }
    return listeners.empty() ? not_here : 0;
}

} // namespace

int listen_on_all(const addrinfo *addresses, std::vector<UniqueFd> &listeners)
{
    // The system's choice is free on the first address, and may be taken on another one.
    const bool any_port = port_in(address_of(*addresses)) == 0;
    int error = 0;
    for (int attempts = any_port ? kAttempts : 1; attempts > 0; --attempts) {
        error = listen_on_each(addresses, listeners);
        if (error != EADDRINUSE)
            break;
    }
    if (error != 0)
        listeners.clear();
    return error;
}

int listen_on(const char *host, const char *port, std::vector<UniqueFd> &listeners,
              std::string &why)
{
    addrinfo *addresses = nullptr;
    if (const int error = resolve(host, port, addresses, why); error != 0)
        return error;
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> owner(addresses, freeaddrinfo);
    const bool any = !host || !*host;
    const int error =
        any ? listen_on_any(addresses, listeners) : listen_on_all(addresses, listeners);
    if (error != 0)
        why = std::strerror(error);
    return error;
}

int accept_from(int listener, UniqueFd &socket, sockaddr_storage &peer)
{
    for (;;) {
        socklen_t length = sizeof peer;
        const int fd =
            accept4(listener, reinterpret_cast<sockaddr *>(&peer), &length, SOCK_CLOEXEC);
        if (fd >= 0) {
            socket.reset(fd);
            return move_above_stdio(socket) ? 0 : errno;
        }
        if (errno != EINTR)
            return errno;
    }
}

int classify_socket(int fd, SocketKind &kind)
{
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
        return errno;
    if (type != SOCK_STREAM)
        return EINVAL;
    int listening = 0;
    length = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0)
        return errno;
    sockaddr_storage peer{};
    length = sizeof peer;
    if (!listening && getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &length) != 0)
        return EINVAL;
    kind = listening ? SocketKind::listening : SocketKind::connected;
    return 0;
}

void set_no_delay(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Not SO_SNDBUF, which also bounds what is on its way, and with it the speed over a long distance.
void limit_unsent(int fd, size_t bytes)
{
    const int size = static_cast<int>(bytes);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); // a Unix socket
}

int port_of(int fd)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        return -1;
    return port_in(address);
}

sockaddr_storage peer_of(int fd)
{
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    (void)getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &length);
    return peer;
}

std::string printable_address(const sockaddr_storage &address)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (address.ss_family == AF_INET) {
        const auto &v4 = reinterpret_cast<const sockaddr_in &>(address);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
    }
    if (address.ss_family == AF_INET6) {
        const auto &v6 = reinterpret_cast<const sockaddr_in6 &>(address);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) { // IPv4, on a socket for both families
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
            return std::string(text) + ":" + std::to_string(ntohs(v6.sin6_port));
        }
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    return "unix";
}

size_t unacknowledged(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

size_t peer_window(int fd)
{
    tcp_info info{};
    socklen_t length = sizeof info;
    constexpr size_t kNeeded = offsetof(tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd;
    const bool known =
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && length >= kNeeded;
    return known ? info.tcpi_snd_wnd : 0; // known since Linux 5.4
}

void send_best_effort(int fd, std::string_view bytes)
{
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace websock
