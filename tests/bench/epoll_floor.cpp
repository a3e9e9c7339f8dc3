// epoll_floor.cpp: the other floor: one thread, level-triggered epoll and non-blocking
// sockets. raw_echo.h decides what is echoed and parses the command line. A connection whose
// answer does not fit into its socket is not read until it does.
#include "raw_echo.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Connection {
    int fd;
    bench::RawRequests requests;
    std::string unsent;
};

bench::RawEcho echo;
int epoll_fd = -1;
char bytes[bench::kReadBytes]; // of the one connection being served

void watch(int operation, int fd, uint32_t events, Connection *connection)
{
    epoll_event event{.events = events, .data = {.ptr = connection}};
    if (epoll_ctl(epoll_fd, operation, fd, &event) != 0) {
        std::perror("epoll_ctl");
        std::exit(1);
    }
}

// Bytes the socket took; -1 if the connection is broken.
ssize_t send_some(int fd, const char *data, size_t n)
{
    const ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

bool receive_and_answer(Connection &connection)
{
    const ssize_t n = recv(connection.fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    const size_t kept = connection.requests.answer(bytes, static_cast<size_t>(n));
    if (kept == 0)
        return true;
    const ssize_t sent = send_some(connection.fd, bytes, kept);
    if (sent < 0)
        return false;
    if (static_cast<size_t>(sent) < kept) {
        connection.unsent.assign(bytes + sent, bytes + kept);
        watch(EPOLL_CTL_MOD, connection.fd, EPOLLOUT, &connection);
    }
    return true;
}

bool send_rest(Connection &connection)
{
    const ssize_t sent =
        send_some(connection.fd, connection.unsent.data(), connection.unsent.size());
    if (sent < 0)
        return false;
    connection.unsent.erase(0, static_cast<size_t>(sent));
    if (connection.unsent.empty())
        watch(EPOLL_CTL_MOD, connection.fd, EPOLLIN, &connection);
    return true;
}

void serve(Connection *connection)
{
    const bool goes_on =
        connection->unsent.empty() ? receive_and_answer(*connection) : send_rest(*connection);
    if (goes_on)
        return;
    close(connection->fd);
    delete connection;
}

void accept_connection(int listener)
{
    const int fd = bench::accept_one(listener, SOCK_NONBLOCK);
    if (fd >= 0)
        watch(EPOLL_CTL_ADD, fd, EPOLLIN,
              new Connection{.fd = fd, .requests = bench::RawRequests(echo), .unsent = {}});
}

} // namespace

int main(int argc, char **argv)
{
    echo = bench::parse_raw_echo(argc, argv);
    const int listener = bench::listen_and_say_port();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, nullptr);
    for (;;) {
        epoll_event events[256];
        const int count = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.ptr == nullptr)
                accept_connection(listener);
            else
                serve(static_cast<Connection *>(events[i].data.ptr));
        }
    }
}
