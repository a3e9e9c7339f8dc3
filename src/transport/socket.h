// socket.h: the system's socket calls, with EINTR handled in one place. Functions that can fail
// return 0 or an errno value, unless they say otherwise. Reading and writing is in
// transport_plain.cpp.
#pragma once

#include "base/fd.h"

#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

struct addrinfo;

namespace websock {

// Resolves host and port, and listens on every address found, with the same port on all of them.
// A host of "" or nullptr is any address, IPv4 and IPv6, with one socket if possible. An address
// that this machine does not have is left out, unless there is no other. Any other failure on one
// address makes the whole call fail, and why says in words what failed.
int listen_on(const char *host, const char *port, std::vector<UniqueFd> &listeners,
              std::string &why);

// The same for addresses that getaddrinfo(3) has listed. Port 0 is any free one.
int listen_on_all(const addrinfo *addresses, std::vector<UniqueFd> &listeners);

// accept(2) on a non-blocking listener; EAGAIN if nobody waits. The new descriptor is blocking and
// close-on-exec. EMFILE may come with a socket: its number is one of standard input, output and
// error, and must not be kept, but the peer can be told first.
int accept_from(int listener, UniqueFd &socket, sockaddr_storage &peer);

enum class SocketKind { listening, connected };

// Finds out what fd is. EBADF, ENOTSOCK; EINVAL for a socket that is not a stream, or is neither
// listening nor connected.
int classify_socket(int fd, SocketKind &kind);

// Turns Nagle's algorithm off: a small frame must not wait until the one before is acknowledged.
// On a Unix socket it does nothing.
void set_no_delay(int fd);

// How much the system takes of what it cannot send to the peer yet: about so many bytes.
void limit_unsent(int fd, size_t bytes);

// The port of a bound socket; -1 if it has none.
int port_of(int fd);

// The address of a connected socket's peer; AF_UNSPEC if there is none.
sockaddr_storage peer_of(int fd);

// As "127.0.0.1:54321", "[::1]:54321" or "unix".
std::string printable_address(const sockaddr_storage &address);

// How many written bytes the peer's system has not acknowledged yet, sent or not.
size_t unacknowledged(int fd);
// For how many bytes behind those it has acknowledged the peer has room; 0 if that is not known.
size_t peer_window(int fd);

// Sends what the socket takes now, and forgets the rest: for a connection that is refused.
void send_best_effort(int fd, std::string_view bytes);

} // namespace websock
