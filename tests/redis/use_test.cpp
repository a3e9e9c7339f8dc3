// use_test.cpp: which options and which servers libwebsock_use_redis refuses, and with what errno.
#include "redis_server.h"
#include "test_node.h"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <climits>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using test::RedisServer;
using test::TestNode;

namespace {

// Something else that listens on 127.0.0.1; answer is what it says to whoever connects, after it
// has got something.
class Listener
{
  public:
    explicit Listener(std::string answer)
        : fd_(socket(AF_INET, SOCK_STREAM, 0)), thread_([this, answer] { serve(answer); })
    {
    }
    ~Listener()
    {
        shutdown(fd_, SHUT_RDWR);
        thread_.join();
        close(fd_);
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  private:
    static int bound(int fd, int &port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(bind(fd, reinterpret_cast<sockaddr *>(&address), size) == 0);
        REQUIRE(listen(fd, 5) == 0);
        REQUIRE(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) == 0);
        port = ntohs(address.sin_port);
        return fd;
    }
    void serve(const std::string &answer)
    {
        const int client = accept(fd_, nullptr, nullptr);
        if (client < 0)
            return;
        char bytes[1000];
        (void)!read(client, bytes, sizeof bytes);
        (void)!write(client, answer.data(), answer.size());
        while (read(client, bytes, sizeof bytes) > 0) {
        }
        close(client);
    }

    int port_ = 0;
    const int fd_;
    const int bound_ = bound(fd_, port_);
    std::thread thread_;
};

int use(const std::string &server, libwebsock_redis_options options = {})
{
    return TestNode({server}, options).use_error();
}

} // namespace

TEST_CASE("a password is used, and a wrong one refused")
{
    RedisServer server({"requirepass secret", "user alice on >hers ~websock:* &websock:* +@all",
                        "user bob on >his ~websock:* &websock:* +@all -publish",
                        "user carol on >hers ~other:* &* +@all",
                        // As libwebsock_use_redis(3) says.
                        "user dave on >his ~websock:* &websock:* +@connection +@read +@write "
                        "+@scripting +@pubsub +time"});
    libwebsock_redis_options options{};
    CHECK(use(server.address()) == EACCES);
    options.password = "wrong";
    CHECK(use(server.address(), options) == EACCES);
    options.password = "secret";
    CHECK(use(server.address(), options) == 0);
    options.username = "alice";
    CHECK(use(server.address(), options) == EACCES);
    options.password = "hers";
    CHECK(use(server.address(), options) == 0);
    options.username = "carol"; // may not use these keys
    CHECK(use(server.address(), options) == EACCES);
    options.username = "dave";
    options.password = "his";
    CHECK(use(server.address(), options) == 0);
    options.username = "bob"; // may not publish
    options.password = "his";
    CHECK(use(server.address(), options) == EACCES);
}

TEST_CASE("the check leaves nothing behind")
{
    RedisServer server;
    CHECK(use(server.address()) == 0);
    CHECK(server.command({"KEYS", "*"}).empty());
}

TEST_CASE("a database that is not there is refused")
{
    RedisServer server;
    libwebsock_redis_options options{};
    options.database = 15;
    CHECK(use(server.address(), options) == 0);
    options.database = 16;
    CHECK(use(server.address(), options) == EPROTO);
}

TEST_CASE("a server that is full or a replica is refused for now")
{
    RedisServer server;
    server.command({"CONFIG", "SET", "maxmemory", "1"});
    CHECK(use(server.address()) == EAGAIN);
    server.command({"CONFIG", "SET", "maxmemory", "0"});
    server.command({"REPLICAOF", "127.0.0.1", "1"});
    CHECK(use(server.address()) == EAGAIN);
}

TEST_CASE("what is no Redis is refused")
{
    CHECK(use(Listener("HTTP/1.1 400 Bad Request\r\n\r\n").address()) == EPROTO);
    CHECK(use(Listener("-ERR unknown command\r\n").address()) == EPROTO);
}

TEST_CASE("a server that does not answer is refused when the time is over")
{
    libwebsock_redis_options options{};
    options.command_timeout_ms = 50;
    const Listener silent("");
    CHECK(use(silent.address(), options) == ETIMEDOUT);
    const Listener slow("+PON");
    CHECK(use(slow.address(), options) == ETIMEDOUT);
}

TEST_CASE("a server that is not there is refused")
{
    CHECK(use("127.0.0.1:1") == ECONNREFUSED);
    CHECK(use("unix:/nowhere/at/all") == ENOENT);
    CHECK(use("unix:" + std::string(200, 'x')) == ENAMETOOLONG);
    CHECK(use("host.invalid:1") == ENOENT);
}

TEST_CASE("options that are not valid are refused")
{
    for (const char *server : {"", ":1", "a:", "a:b", "::1", "[::1", "[::1]x", "unix:"})
        CHECK(use(server) == EINVAL);
    const std::string there = "127.0.0.1:1";
    CHECK(TestNode({there, there}).use_error() == EINVAL);
    const auto with = [&](auto set) {
        libwebsock_redis_options options{};
        set(options);
        return use(there, options);
    };
    CHECK(with([](auto &options) { options.database = -1; }) == EINVAL);
    CHECK(with([](auto &options) { options.connect_timeout_ms = -1; }) == EINVAL);
    CHECK(with([](auto &options) { options.command_timeout_ms = -1; }) == EINVAL);
    CHECK(with([](auto &options) { options.username = "alice"; }) == EINVAL);
    libwebsock_redis_options options{};
    errno = 0;
    libwebsock_context context{};
    CHECK(libwebsock_use_redis(&context, &options) == -1); // size is 0
    CHECK(errno == EINVAL);
    CHECK(libwebsock_use_redis(nullptr, nullptr) == -1);
    CHECK(errno == EINVAL);
}

TEST_CASE("the log says which server is not to be used, and why")
{
    TestNode node({"127.0.0.1:1"});
    CHECK(node.log() == "redis 127.0.0.1:1: Connection refused\n");
}

TEST_CASE("a context without Redis has no statistics of it")
{
    libwebsock_context context{};
    libwebsock_redis_statistics out{};
    out.size = sizeof out;
    CHECK(libwebsock_redis_stats(&context, &out) == -1);
    CHECK(errno == ENOENT);
    CHECK(libwebsock_redis_stats(&context, nullptr) == -1);
    CHECK(errno == EINVAL);
}
