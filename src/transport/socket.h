// socket.h: the system's socket calls, with EINTR and deadlines handled once.
// Functions that can fail return an errno value, 0 for success, unless they say
// otherwise. WebSocket is unknown here.
#pragma once

#include "base/fd.h"

#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

struct addrinfo;

namespace websock {

// Resolves host and port, and listens on every address they have, with the same port on
// all of them; "" or nullptr is any address of both families, by one socket if possible. An
// address that this machine does not have is left out, unless there is no other; any
// other failure is one of them all. why: what failed, in words, on failure.
int listen_on(const char *host, const char *port, std::vector<UniqueFd> &listeners,
              std::string &why);

// The same for addresses that are known: a list of getaddrinfo's. Port 0 is any free one.
int listen_on_all(const addrinfo *addresses, std::vector<UniqueFd> &listeners);

// accept(2) on a non-blocking listener: EAGAIN when nobody waits. The new
// descriptor is blocking and close-on-exec. EMFILE may come with a socket: one whose number
// it cannot keep.
int accept_from(int listener, UniqueFd &socket, sockaddr_storage &peer);

enum class SocketKind { listening, connected };

// What fd is: EBADF, ENOTSOCK, or EINVAL for a socket that is no stream or is
// neither listening nor connected.
int classify_socket(int fd, SocketKind &kind);

// Small frames must not wait for the ACK of the one before. No error where there is
// no TCP (a Unix socket).
void set_no_delay(int fd);

// The port of a bound socket; -1 if it has none.
int port_of(int fd);

// The address a connected socket talks to.
sockaddr_storage peer_of(int fd);

// "127.0.0.1:54321", "[::1]:54321", "unix".
std::string printable_address(const sockaddr_storage &address);

// How many bytes the system still has of what was written: not sent, or not acknowledged.
size_t unacknowledged(int fd);
// For how many more than it has acknowledged the peer has room; 0 where that is not known.
size_t peer_window(int fd);

// Sends what the socket takes now and forgets the rest: for answers to connections
// that are being turned away.
void send_best_effort(int fd, std::string_view bytes);

} // namespace websock
