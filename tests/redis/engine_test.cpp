// engine_test.cpp: several nodes with one redis-server: one order for all, what a newcomer gets,
// what is kept. What happens when the server fails is in failure_test.cpp.
#include "redis_server.h"
#include "test_node.h"
#include "until.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <thread>

using test::RedisServer;
using test::TestNode;
using test::until;

namespace {

std::vector<std::string> numbers(int first, int last)
{
    std::vector<std::string> texts;
    for (int i = first; i <= last; ++i)
        texts.push_back(std::to_string(i));
    return texts;
}

void publish(TestNode &node, const std::string &topic, int first, int last)
{
    for (int i = first; i <= last; ++i)
        REQUIRE(node.publish(topic, std::to_string(i)) == 0);
}

} // namespace

TEST_CASE("what one node publishes comes to all, the publisher's included")
{
    RedisServer server;
    TestNode a({server.address()});
    TestNode b({server.address()});
    REQUIRE(a.use_error() == 0);
    REQUIRE(a.load("news"));
    REQUIRE(b.load("news"));
    REQUIRE(a.publish("news", "hello", "", 7) == 0);
    REQUIRE(a.received("news", 1));
    REQUIRE(b.received("news", 1));
    CHECK(b.topic("news").texts == std::vector<std::string>{"hello"});
    CHECK(a.topic("news").publishers.front() == 7);
    CHECK(b.topic("news").publishers.front() == 0); // it is a client of the other node
}

TEST_CASE("a message that must not be compressed must not be on any node")
{
    RedisServer server;
    TestNode a({server.address()});
    TestNode b({server.address()});
    REQUIRE(b.load("news"));
    REQUIRE(a.publish("news", "secret", "", 0, LIBWEBSOCK_UNCOMPRESSED) == 0);
    REQUIRE(a.publish("news", "anything") == 0);
    REQUIRE(b.received("news", 2));
    CHECK(b.topic("news").flags == std::vector<int>{LIBWEBSOCK_UNCOMPRESSED, 0});
}

TEST_CASE("nodes that publish at the same time have one order")
{
    constexpr int kEach = 2000;
    RedisServer server;
    TestNode a({server.address()});
    TestNode b({server.address()});
    TestNode c({server.address()});
    const std::vector<TestNode *> nodes{&a, &b, &c};
    for (TestNode *node : nodes)
        REQUIRE(node->load("news"));
    std::vector<std::thread> threads;
    for (TestNode *node : nodes) {
        threads.emplace_back([node, &nodes] {
            const std::string name(
                1, static_cast<char>('a' + (node == nodes[1]) + 2 * (node == nodes[2])));
            for (int i = 0; i < kEach; ++i)
                (void)node->publish("news", name + std::to_string(i));
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    for (TestNode *node : nodes)
        REQUIRE(node->received("news", 3 * kEach));
    CHECK(a.topic("news").texts == b.topic("news").texts);
    CHECK(a.topic("news").texts == c.topic("news").texts);
    CHECK(a.topic("news").lost == 0);
}

TEST_CASE("a node that follows later gets what the log has, and then what is live")
{
    RedisServer server;
    TestNode a({server.address()});
    publish(a, "news", 1, 100);
    REQUIRE(until([&] { return a.stats().published == 100; }));
    TestNode b({server.address()});
    REQUIRE(b.load("news"));
    CHECK(b.topic("news").texts == numbers(1, 100));
    publish(a, "news", 101, 110);
    REQUIRE(b.received("news", 110));
    CHECK(b.topic("news").texts == numbers(1, 110));
}

TEST_CASE("a log that is longer than a page is loaded whole, while messages go on coming")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_messages = 100000;
    a.options.history_bytes = 100 << 20;
    publish(a, "news", 1, 3000);
    TestNode b({server.address()});
    b.options = a.options;
    std::thread publisher([&] { publish(a, "news", 3001, 6000); });
    CHECK(b.load("news"));
    publisher.join();
    REQUIRE(b.received("news", 6000));
    CHECK(b.topic("news").texts == numbers(1, 6000));
    CHECK(b.topic("news").lost == 0);
}

TEST_CASE("large messages arrive whole, and their log is loaded in pages")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_bytes = 100 << 20;
    const std::string large(3 << 20, 'x');
    for (int i = 0; i < 4; ++i)
        REQUIRE(a.publish("news", large) == 0);
    REQUIRE(until([&] { return a.stats().published == 4; }));
    TestNode b({server.address()});
    REQUIRE(b.load("news"));
    CHECK(b.topic("news").texts == std::vector<std::string>(4, large));
}

TEST_CASE("the log keeps about as many messages as the options say, and says what has left")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_messages = 16;
    publish(a, "news", 1, 1000);
    REQUIRE(until([&] { return a.stats().published == 1000; }));
    TestNode b({server.address()});
    REQUIRE(b.load("news"));
    const std::vector<std::string> texts = b.topic("news").texts;
    CHECK(texts.size() >= 16);
    CHECK(texts.size() <= 18);
    CHECK(texts.back() == "1000");
    CHECK(std::stoi(server.command({"XLEN", "websock:s:news"})) == static_cast<int>(texts.size()));
}

TEST_CASE("the log keeps about as many bytes as the options say")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_bytes = 10000;
    for (int i = 0; i < 100; ++i)
        REQUIRE(a.publish("news", std::string(972, 'x')) == 0); // and 28 bytes of header
    REQUIRE(until([&] { return a.stats().published == 100; }));
    const int kept = std::stoi(server.command({"XLEN", "websock:s:news"}));
    CHECK(kept >= 10);
    CHECK(kept <= 11);
}

TEST_CASE("messages that are too old are not loaded")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_ms = 50;
    publish(a, "news", 1, 10);
    REQUIRE(until([&] { return a.stats().published == 10; }));
    REQUIRE(until([&] {
        TestNode b({server.address()});
        b.options = a.options;
        return b.load("news") && b.topic("news").texts.empty();
    }));
    CHECK(server.command({"XLEN", "websock:s:news"}) == "0");
    publish(a, "news", 11, 11);
    REQUIRE(until([&] { return a.stats().published == 11; }));
    CHECK(server.state("news", "o") == "11");
}

TEST_CASE("a message replaces the one with its key")
{
    RedisServer server;
    TestNode a({server.address()});
    REQUIRE(a.publish("prices", "old", "x") == 0);
    REQUIRE(a.publish("prices", "other", "y") == 0);
    REQUIRE(a.publish("prices", "new", "x") == 0);
    REQUIRE(until([&] { return a.stats().published == 3; }));
    TestNode b({server.address()});
    REQUIRE(b.load("prices"));
    CHECK(b.topic("prices").texts == std::vector<std::string>{"other", "new"});
    CHECK(server.state("prices", "n") == "2");
}

TEST_CASE("keys of messages that have left the log are forgotten")
{
    RedisServer server;
    TestNode a({server.address()});
    a.options.history_messages = 8;
    for (int i = 0; i < 100; ++i)
        REQUIRE(a.publish("prices", "p", "key" + std::to_string(i)) == 0);
    REQUIRE(until([&] { return a.stats().published == 100; }));
    CHECK(std::stoi(server.command({"HLEN", "websock:h:prices"})) <= 7 + 9);
}

TEST_CASE("topics have names of any kind")
{
    RedisServer server;
    TestNode a({server.address()});
    const std::vector<std::string> names{
        "a b", "x\r\nFLUSHALL\r\n", "{1}", "*", "h:", "\xc3\xa4", std::string(255, 't')};
    for (const std::string &name : names) {
        REQUIRE(a.load(name));
        REQUIRE(a.publish(name, "to " + name) == 0);
        REQUIRE(a.received(name, 1));
        CHECK(a.topic(name).texts.front() == "to " + name);
    }
}

TEST_CASE(
    "what is published before the start is sent after it, and what is queued leaves at the stop")
{
    RedisServer server;
    libwebsock_redis_options patient{};
    patient.command_timeout_ms = 20'000; // which a stop waits at most
    {
        TestNode a({server.address()}, patient);
        publish(a, "news", 1, 1000);
        a.stop();
        CHECK(a.stats().unsent_messages == 0);
        CHECK(a.publish("news", "too late") == ESHUTDOWN);
    }
    CHECK(server.state("news", "o") == "1000");
}

TEST_CASE("topics are spread over several servers, alike on all nodes")
{
    RedisServer one;
    RedisServer two;
    TestNode a({one.address(), two.address()});
    TestNode b({two.address(), one.address()}); // the order does not matter
    CHECK(a.stats().servers == 2);
    for (int i = 0; i < 50; ++i) {
        const std::string topic = "topic" + std::to_string(i);
        REQUIRE(b.load(topic));
        REQUIRE(a.publish(topic, topic) == 0);
        REQUIRE(b.received(topic, 1));
    }
    const int there = std::stoi(one.command({"DBSIZE"}));
    CHECK(there > 20);
    CHECK(there < 80);
    CHECK(std::stoi(two.command({"DBSIZE"})) > 20);
}

TEST_CASE("clusters with another database or prefix do not meet")
{
    RedisServer server;
    TestNode a({server.address()});
    libwebsock_redis_options options{};
    options.database = 1;
    TestNode b({server.address()}, options);
    options = {};
    options.prefix = "other:";
    TestNode c({server.address()}, options);
    for (TestNode *node : {&a, &b, &c})
        REQUIRE(node->load("news"));
    REQUIRE(a.publish("news", "a") == 0);
    REQUIRE(b.publish("news", "b") == 0);
    REQUIRE(c.publish("news", "c") == 0);
    for (TestNode *node : {&a, &b, &c}) {
        REQUIRE(node->received("news", 1));
        CHECK(node->stats().ignored == 0);
        CHECK(node->topic("news").texts.size() == 1);
    }
    CHECK(b.topic("news").texts.front() == "b");
}

TEST_CASE("a thousand topics are followed, dropped and followed again")
{
    RedisServer server;
    TestNode a({server.address()});
    TestNode b({server.address()});
    const auto name = [](int i) { return "topic" + std::to_string(i); };
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 1000; ++i)
            REQUIRE(a.follow(name(i)) == 0);
        if (round < 2) {
            for (int i = 0; i < 1000; ++i)
                a.unfollow(name(i));
        }
    }
    for (int i = 0; i < 1000; ++i)
        REQUIRE(until([&] { return a.topic(name(i)).began; }));
    for (int i = 0; i < 1000; ++i)
        REQUIRE(b.publish(name(i), name(i)) == 0);
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(a.received(name(i), 1));
        CHECK(a.topic(name(i)).texts == std::vector<std::string>{name(i)});
    }
    for (int i = 0; i < 1000; ++i)
        a.unfollow(name(i));
    CHECK(until([&] { return server.command({"PUBSUB", "CHANNELS"}).empty(); }));
}
