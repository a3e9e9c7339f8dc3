// faults_test.cpp: what can go wrong around a healthy server: signals at any time, a listening
// socket that dies, callbacks that throw or start programs. Stopping, and callbacks that never
// return, are in stop_test.cpp.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <set>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace test;

namespace {

std::vector<int> numbers_in(const char *directory)
{
    std::vector<int> numbers;
    DIR *entries = ::opendir(directory);
    REQUIRE(entries != nullptr);
    while (const dirent *entry = ::readdir(entries))
        if (entry->d_name[0] != '.')
            numbers.push_back(std::atoi(entry->d_name));
    ::closedir(entries);
    return numbers;
}

// While it exists, keeps sending a signal to every other thread of this process. The signal's
// handler interrupts system calls.
class SignalStorm
{
  public:
    SignalStorm()
    {
        struct sigaction count = {};
        count.sa_handler = [](int) { ++received; }; // without SA_RESTART
        REQUIRE(::sigaction(SIGUSR2, &count, &before_) == 0);
        received = 0;
        thread_ = std::thread([this] { rage(); });
    }

    ~SignalStorm()
    {
        over_ = true;
        thread_.join();
        ::signal(SIGUSR2, SIG_IGN); // discards signals still pending
        ::sigaction(SIGUSR2, &before_, nullptr);
    }

    static inline std::atomic<size_t> received;

  private:
    void rage()
    {
        const pid_t self = ::gettid();
        while (!over_) {
            for (const int thread : numbers_in("/proc/self/task"))
                if (thread != self)
                    ::syscall(SYS_tgkill, ::getpid(), thread, SIGUSR2);
            std::this_thread::sleep_for(std::chrono::milliseconds(1)); // lets the others run
        }
    }

    struct sigaction before_ = {};
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

// Descriptors of this process that a program it starts would inherit.
std::set<int> inheritable()
{
    std::set<int> inherited;
    for (const int fd : numbers_in("/proc/self/fd")) {
        const int flags = ::fcntl(fd, F_GETFD); // -1 for the directory just read
        if (flags != -1 && (flags & FD_CLOEXEC) == 0)
            inherited.insert(fd);
    }
    return inherited;
}

// The descriptors that a program started now, with fork and exec, finds open.
std::set<int> descriptors_of_a_child()
{
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    REQUIRE(child != -1);
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::execl("/bin/sh", "sh", "-c",
                "fd=0; while [ $fd -lt 200 ]; do"
                " if [ -L /proc/$$/fd/$fd ]; then echo $fd; fi; fd=$((fd + 1)); done",
                static_cast<char *>(nullptr));
        ::_exit(127);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(status == 0);
    std::set<int> descriptors;
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        descriptors.insert(std::atoi(text.c_str() + at));
    return descriptors;
}

// A TCP socket that listens on a port of 127.0.0.1.
int listening_socket()
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 100) == 0);
    return fd;
}

} // namespace

TEST_CASE("a storm of signals disturbs no connection")
{
    // A client may leave the first echo unread; the second then has to wait.
    Server server({.onmessage = [](Scene &scene, auto *client, auto *msg) {
        echo(scene, client, msg);
        if (msg->opcode == WS_OPCODE_BINARY)
            echo(scene, client, msg);
    }});
    std::vector<Client> clients = open_many(scaled(4, 2), server.port(), {.receive_buffer = 16384});
    const std::string large(8 << 20, 'x'); // more than the socket buffers hold
    {
        const SignalStorm storm;
        Bystander bystander(server.port());
        for (int round = 0; round < 2; round++) {
            for (Client &client : clients) {
                client.send_binary(large);
                // The callback waits for this client to read, and gets signals meanwhile.
                CHECK(eventually([&] { return server.stats().longest_callback_ms >= 20; }));
                for (int answer = 0; answer < 2; answer++) {
                    const bool same = client.receive_frame().payload == large;
                    CHECK(same);
                }
            }
            CHECK(bystander.is_served());
            Client late = Client::open(server.port());
            late.send_close(WS_CLOSE_NORMAL);
            CHECK(late.receive_close().code == WS_CLOSE_NORMAL);
            late.drain();
        }
        CHECK(SignalStorm::received > 20);
    }
    server.events().wait(Kind::close, 3); // the two late clients, and the bystander
    CHECK(server.events().count(Kind::close) == 3);
    const SignalStorm storm;
    libwebsock_stop(server.context());
    for (Client &client : clients) {
        CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
        client.send_close(WS_CLOSE_GOING_AWAY);
        client.drain();
    }
    CHECK(server.join() == 0);
}

TEST_CASE("an exception from a callback is logged, and closes its connection with 1011")
{
    const std::string how[] = {"exception", "number"};
    for (const std::string &kind : how) {
        const auto fail_with = [kind](const char *where) {
            if (kind == "number")
                throw 42;
            throw std::runtime_error(std::string("thrown by ") + where);
        };
        std::atomic<bool> in_open = false;
        Server server({.onopen =
                           [&](Scene &, auto *) {
                               if (in_open)
                                   fail_with("onopen");
                           },
                       .onmessage =
                           [&](Scene &scene, auto *client, auto *msg) {
                               if (std::string_view(msg->payload) == "throw")
                                   fail_with("onmessage");
                               echo(scene, client, msg);
                           },
                       .onclose = [&](Scene &, auto *) { fail_with("onclose"); },
                       .onpong = [&](Scene &, auto *) { fail_with("onpong"); }});
        Bystander bystander(server.port());
        const auto is_failed = [&](Client &client, const char *where) {
            const bool closed = client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR;
            client.send_close(WS_CLOSE_UNEXPECTED_ERROR);
            client.drain();
            const std::string what = kind == "number" ? "" : std::string("thrown by ") + where;
            return closed && server.log().has(LIBWEBSOCK_LOG_ERROR, {client.address(), what});
        };
        Client by_message = Client::open(server.port());
        by_message.send_text("throw");
        by_message.send_text("no longer delivered");
        CHECK(is_failed(by_message, "onmessage"));
        Client by_pong = Client::open(server.port());
        by_pong.send_frame(true, WS_OPCODE_PONG, "");
        CHECK(is_failed(by_pong, "onpong"));
        in_open = true;
        Client by_open = Client::open(server.port());
        CHECK(is_failed(by_open, "onopen"));
        CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {kind == "number" ? "" : "onclose"}));
        CHECK(eventually([&] { return server.stats().connections_open == 1; }));
        CHECK(bystander.is_served());
    }
}

TEST_CASE("an exception from onrequest is answered with 500")
{
    Server server({.onrequest = [](Scene &, auto *, auto *request) {
        if (std::string_view(request->path) == "/throw")
            throw std::runtime_error("thrown by onrequest");
        return 0;
    }});
    Client client(server.port());
    client.send_raw(upgrade_request("/throw"));
    CHECK(client.receive_http().status == 500);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {client.address(), "thrown by onrequest"}));
    Client::open(server.port(), "/");
    CHECK(server.events().count(Kind::open) <= 1);
}

TEST_CASE("a program started by a callback has none of the library's descriptors")
{
    std::set<int> found;
    const std::set<int> before = inheritable();
    Server server({.onmessage = [&](Scene &scene, auto *client, auto *msg) {
        found = descriptors_of_a_child();
        echo(scene, client, msg);
    }});
    const int listening = listening_socket();
    REQUIRE(libwebsock_bind_socket(server.context(), listening) == 0);
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    REQUIRE(libwebsock_bind_socket(server.context(), pair[0]) == 0);
    Client client = Client::open(server.port());
    client.send_text("look");
    CHECK(client.receive_text() == "look");
    for (const int fd : found) {
        CAPTURE(fd);
        // Expected: the pipe to its output, and what this test left inheritable on purpose.
        CHECK((fd == STDOUT_FILENO || fd == pair[1] || before.count(fd) == 1));
    }
    CHECK(found.count(pair[1]) == 1); // otherwise the test could not see a leak
    ::close(pair[1]);
}

TEST_SUITE_BEGIN("no transport");

TEST_CASE("shutting down a listening socket harms neither its connections nor others")
{
    Server server(
        {.onmessage = echo, .bind = false, .start = false, .transport = Transport::plain});
    const int listening = listening_socket();
    REQUIRE(libwebsock_bind_socket(server.context(), listening) == 0);
    REQUIRE(libwebsock_bind(server.context(), "127.0.0.1", "0") == 0);
    server.start();
    Client client(server.port(), {.transport = Transport::plain});
    client.handshake();

    REQUIRE(::shutdown(listening, SHUT_RDWR) == 0);
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"accept"}));
    CHECK(is_at_rest());
    client.send_text("still served?");
    CHECK(client.receive_text() == "still served?");

    REQUIRE(::listen(listening, 100) == 0); // listens again, on another port
    Client again(server.port(), {.transport = Transport::plain});
    again.handshake();
    REQUIRE(::shutdown(listening, SHUT_RDWR) == 0);
    libwebsock_stop(server.context());
    for (Client *each : {&client, &again}) {
        CHECK(each->receive_close().code == WS_CLOSE_GOING_AWAY);
        each->send_close(WS_CLOSE_GOING_AWAY);
        each->drain();
    }
    CHECK(server.join() == 0);
}

TEST_SUITE_END();
