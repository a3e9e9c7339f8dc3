// socket_test.cpp: the user's own sockets, given to libwebsock_bind_socket: listening and
// connected ones, at any time, and those that are refused and stay the caller's. They are
// plain whatever the context's own listeners are.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <future>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

using namespace test;

namespace {

// A listening socket on 127.0.0.1, any port.
int listening_socket()
{
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 16) == 0);
    return fd;
}

int port_of(int fd)
{
    sockaddr_in address = {};
    socklen_t len = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &len) == 0);
    return ntohs(address.sin_port);
}

constexpr Transport kPlain = Transport::plain;

// A TCP connection within this process: the test's client, and the descriptor for the library.
struct Pair {
    Client client;
    int fd;
};

Pair tcp_pair()
{
    int listener = listening_socket();
    Client client(port_of(listener), {.transport = kPlain});
    int fd = ::accept(listener, nullptr, nullptr);
    REQUIRE(fd != -1);
    ::close(listener);
    return {std::move(client), fd};
}

Pair unix_pair()
{
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    return {Client::over(fds[0]), fds[1]};
}

void set_blocking(int fd, bool blocking)
{
    int flags = ::fcntl(fd, F_GETFL) & ~O_NONBLOCK;
    REQUIRE(::fcntl(fd, F_SETFL, blocking ? flags : flags | O_NONBLOCK) == 0);
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

void expect_echo(Client &client)
{
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
}

// Checks that the library refuses fd, which stays open and the caller's.
void expect_refused(Server &server, int fd, int error)
{
    size_t lines = server.log().lines().size();
    CHECK(error_of(libwebsock_bind_socket(server.context(), fd)) == error);
    CHECK(eventually([&] { return server.log().lines().size() > lines; })); // the reason
    CHECK(is_open(fd));
    ::close(fd);
}

} // namespace

TEST_CASE("a listening socket accepts connections, whether given before or during wait")
{
    for (bool before : {true, false}) {
        for (bool blocking : {true, false}) {
            Server server({.onmessage = echo, .bind = !before, .start = !before});
            int fd = listening_socket();
            set_blocking(fd, blocking);
            int port = port_of(fd);
            if (!before)
                Client::open(server.port()); // so wait is running
            REQUIRE(libwebsock_bind_socket(server.context(), fd) == 0);
            if (before) {
                CHECK(server.port() == port);
                server.start();
            }
            {
                Client client(port, {.transport = kPlain});
                client.handshake();
                expect_echo(client);
            }
            server.free();
            CHECK_FALSE(is_open(fd)); // it was the library's
        }
    }
}

TEST_CASE("a connected socket is served, blocking or not, before, during or without wait")
{
    enum class When { before, during, without };
    for (When when : {When::before, When::during, When::without}) {
        for (bool blocking : {true, false}) {
            Server server({.onmessage = echo, .start = when == When::during});
            Pair pair = tcp_pair();
            set_blocking(pair.fd, blocking);
            REQUIRE(libwebsock_bind_socket(server.context(), pair.fd) == 0);
            if (when == When::before)
                server.start();
            pair.client.handshake();
            expect_echo(pair.client);
            pair.client.send_close(WS_CLOSE_NORMAL);
            CHECK(pair.client.receive_close().code == WS_CLOSE_NORMAL);
            pair.client.expect_eof();
            server.events().wait(Kind::close);
        }
    }
}

TEST_CASE("a connected socket may already hold data when it is given away")
{
    Server server({.onmessage = echo});
    Pair pair = tcp_pair();
    pair.client.send_raw(upgrade_request() + encode_frame(true, WS_OPCODE_TEXT, "early"));
    REQUIRE(libwebsock_bind_socket(server.context(), pair.fd) == 0);
    CHECK(pair.client.receive_http().status == 101);
    CHECK(pair.client.receive_text() == "early");
}

TEST_CASE("free sends 1001 to clients that were served without wait")
{
    Server server({.onmessage = echo, .bind = false, .start = false});
    Pair pair = tcp_pair();
    REQUIRE(libwebsock_bind_socket(server.context(), pair.fd) == 0);
    pair.client.handshake();
    auto peer = std::async(std::launch::async, [&pair] {
        Close close = pair.client.receive_close();
        pair.client.send_close(close.code);
        pair.client.expect_eof();
        return close.code;
    });
    server.free();
    CHECK(peer.get() == WS_CLOSE_GOING_AWAY);
    CHECK(server.events().count(Kind::close) == 1);
}

TEST_CASE("connected sockets alone leave a context without a port")
{
    Server server({.bind = false, .start = false});
    Pair pair = tcp_pair();
    REQUIRE(libwebsock_bind_socket(server.context(), pair.fd) == 0);
    CHECK(error_of(libwebsock_port(server.context())) == ENOTCONN);
}

TEST_CASE("one end of a socketpair is served, and its peer is \"unix\"")
{
    std::string peer;
    Server server({.onopen = [&peer](Scene &, auto *client) { peer = libwebsock_peer(client); },
                   .onmessage = echo});
    Pair pair = unix_pair();
    REQUIRE(libwebsock_bind_socket(server.context(), pair.fd) == 0);
    pair.client.handshake();
    expect_echo(pair.client);
    CHECK(peer == "unix");
}

TEST_CASE("a listening Unix socket has no port")
{
    Server server({.onmessage = echo, .bind = false, .start = false});
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    socklen_t autobind = sizeof address.sun_family; // Linux picks an abstract name
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), autobind) == 0);
    REQUIRE(::listen(fd, 16) == 0);
    socklen_t len = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &len) == 0);
    REQUIRE(libwebsock_bind_socket(server.context(), fd) == 0);
    CHECK(error_of(libwebsock_port(server.context())) == ENOTCONN);
    server.start();

    int peer = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::connect(peer, reinterpret_cast<sockaddr *>(&address), len) == 0);
    Client client = Client::over(peer);
    client.handshake();
    expect_echo(client);
}

TEST_CASE("anything but a listening or connected stream socket is refused and stays the caller's")
{
    Server server;
    CHECK(error_of(libwebsock_bind_socket(server.context(), -1)) == EBADF);
    // A high number: lower ones may be given to the server's own descriptors meanwhile.
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const int closed = ::fcntl(socket, F_DUPFD, 900);
    ::close(socket);
    ::close(closed);
    CHECK(error_of(libwebsock_bind_socket(server.context(), closed)) == EBADF);

    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    expect_refused(server, fds[0], ENOTSOCK);
    expect_refused(server, fds[1], ENOTSOCK);
    expect_refused(server, ::socket(AF_INET, SOCK_DGRAM, 0), EINVAL);
    expect_refused(server, ::socket(AF_INET, SOCK_STREAM, 0), EINVAL);
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
    expect_refused(server, fds[0], EINVAL);
    ::close(fds[1]);

    Pair pair = tcp_pair();
    CHECK(error_of(libwebsock_bind_socket(nullptr, pair.fd)) == EINVAL);
    CHECK(is_open(pair.fd));
    ::close(pair.fd);
}

TEST_CASE("with a setting out of range a connected socket is refused")
{
    Server server(
        {.settings = [](auto *context) { context->idle_timeout_ms = -1; }, .start = false});
    expect_refused(server, tcp_pair().fd, EINVAL);
}

TEST_CASE("a stopped context takes no sockets")
{
    Server server;
    CHECK(server.stop_and_join() == 0);
    expect_refused(server, tcp_pair().fd, ESHUTDOWN);
    expect_refused(server, listening_socket(), ESHUTDOWN);
}

TEST_CASE("beyond max_connections a connected peer gets 503, and fd stays the caller's")
{
    Server server({.settings = [](auto *context) { context->max_connections = 1; }});
    Client first = Client::open(server.port());
    Pair pair = tcp_pair();
    CHECK(error_of(libwebsock_bind_socket(server.context(), pair.fd)) == EAGAIN);
    CHECK(pair.client.receive_http().status == 503);
    CHECK(is_open(pair.fd));
    ::close(pair.fd);
}
