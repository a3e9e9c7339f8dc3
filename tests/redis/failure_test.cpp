// failure_test.cpp: what nodes get when their redis-server dies, hangs, forgets, or refuses: each
// message once and in one order, or word that some are lost. Which server a node refuses to begin
// with is in use_test.cpp.
#include "redis_connection/packet.h"
#include "redis_server.h"
#include "test_node.h"
#include "until.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

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

// Publishes numbers until it is told to end; then last() is the last of them.
class Stream
{
  public:
    Stream(TestNode &node, std::string topic)
        : thread_([this, &node, topic] {
              while (!ended_) {
                  if (node.publish(topic, std::to_string(last_ + 1)) == 0)
                      ++last_;
                  std::this_thread::sleep_for(std::chrono::microseconds(200));
              }
          })
    {
    }
    ~Stream() { end(); }
    int last() const { return last_; }
    int end()
    {
        ended_ = true;
        if (thread_.joinable())
            thread_.join();
        return last_;
    }
    bool goes_on_by(int count)
    {
        const int before = last_;
        return until([&] { return last_ >= before + count; });
    }

  private:
    std::atomic<bool> ended_{false};
    std::atomic<int> last_{0};
    std::thread thread_;
};

void check_got_all(TestNode &node, const std::string &topic, int last)
{
    REQUIRE(node.received(topic, static_cast<size_t>(last)));
    const TestNode::Topic got = node.topic(topic);
    CHECK((got.texts == numbers(1, last)));
    CHECK(got.lost == 0);
    CHECK(got.epochs == 0);
}

struct Cluster {
    explicit Cluster(std::vector<std::string> settings = {})
        : server(std::move(settings)), a({server.address()}), b({server.address()})
    {
        for (TestNode *node : {&a, &b}) {
            node->options.history_messages = 1000000;
            node->options.history_bytes = 100 << 20;
            REQUIRE(node->load("news"));
        }
    }

    RedisServer server;
    TestNode a;
    TestNode b;
};

} // namespace

TEST_CASE("a server that is killed and comes back with its data costs no message, and doubles none")
{
    Cluster cluster;
    Stream stream(cluster.a, "news");
    for (int i = 0; i < 3; ++i) {
        REQUIRE(stream.goes_on_by(300));
        cluster.server.kill();
        REQUIRE(stream.goes_on_by(100));
        cluster.server.start();
    }
    REQUIRE(stream.goes_on_by(300));
    const int last = stream.end();
    check_got_all(cluster.a, "news", last);
    check_got_all(cluster.b, "news", last);
    CHECK(cluster.a.log().find("connection lost") != std::string::npos);
    CHECK(until([&] { return cluster.a.log().find("back after") != std::string::npos; }));
}

TEST_CASE("a server that hangs for longer than the time-outs costs no message, and doubles none")
{
    Cluster cluster;
    Stream stream(cluster.a, "news");
    REQUIRE(stream.goes_on_by(300));
    cluster.server.freeze();
    REQUIRE(until([&] {
        return cluster.a.stats().servers_connected == 0 && cluster.b.stats().servers_connected == 0;
    }));
    CHECK(cluster.a.stats().unsent_messages > 0);
    cluster.server.thaw();
    REQUIRE(stream.goes_on_by(300));
    const int last = stream.end();
    check_got_all(cluster.a, "news", last);
    check_got_all(cluster.b, "news", last);
    CHECK(cluster.a.stats().away_ms == 0);
}

TEST_CASE("connections that are cut again and again cost no message, and double none")
{
    Cluster cluster;
    Stream stream(cluster.a, "news");
    for (int i = 0; i < 10; ++i) {
        REQUIRE(stream.goes_on_by(50));
        cluster.server.command({"CLIENT", "KILL", "TYPE", "normal"});
        REQUIRE(stream.goes_on_by(50));
        cluster.server.command({"CLIENT", "KILL", "TYPE", "pubsub"});
    }
    const int last = stream.end();
    check_got_all(cluster.a, "news", last);
    check_got_all(cluster.b, "news", last);
}

TEST_CASE("when a server has lost its data, all nodes begin anew and say so")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 100);
    REQUIRE(cluster.b.received("news", 100));
    const unsigned long long epoch = cluster.b.topic("news").epoch;
    cluster.server.kill();
    cluster.server.forget_data();
    cluster.server.start();
    for (TestNode *node : {&cluster.a, &cluster.b}) {
        REQUIRE(until([&] { return node->topic("news").epochs == 1; }));
        CHECK(node->stats().lost_logs == 1);
    }
    publish(cluster.a, "news", 101, 110);
    REQUIRE(cluster.b.received("news", 110));
    CHECK(cluster.b.topic("news").epoch != epoch);
    CHECK(cluster.b.topic("news").epoch == cluster.a.topic("news").epoch);
    CHECK(cluster.b.topic("news").texts == numbers(1, 110));
    CHECK(cluster.b.topic("news").next == 11);
}

TEST_CASE("when a server has come back with older data, all nodes begin anew")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    cluster.server.kill();
    cluster.server.save_data();
    cluster.server.start();
    publish(cluster.a, "news", 11, 20);
    REQUIRE(cluster.b.received("news", 20));
    REQUIRE(cluster.a.received("news", 20));
    cluster.server.kill();
    cluster.server.return_to_saved_data();
    cluster.server.start();
    // The first one that asks for more finds out. The other one does then, or with a message.
    REQUIRE(
        until([&] { return cluster.a.topic("news").epochs + cluster.b.topic("news").epochs > 0; }));
    REQUIRE(cluster.a.publish("news", "21") == 0);
    for (TestNode *node : {&cluster.a, &cluster.b}) {
        REQUIRE(node->received("news", 21));
        CHECK(node->topic("news").epochs == 1);
        CHECK(node->topic("news").texts == numbers(1, 21));
    }
    CHECK(cluster.a.topic("news").epoch == cluster.b.topic("news").epoch);
}

TEST_CASE("older data that comes back twice is not taken for a new log")
{
    RedisServer server;
    TestNode a({server.address()});
    REQUIRE(a.load("news"));
    publish(a, "news", 1, 10);
    REQUIRE(a.received("news", 10));
    server.kill();
    server.save_data();
    server.start();
    publish(a, "news", 11, 20);
    REQUIRE(a.received("news", 20));
    for (int epochs = 1; epochs <= 3; ++epochs) {
        server.kill();
        server.return_to_saved_data();
        server.save_data();
        server.start();
        REQUIRE(until([&] { return a.topic("news").epochs == epochs; }));
        publish(a, "news", 20 + epochs, 20 + epochs);
        REQUIRE(a.received("news", static_cast<size_t>(20 + epochs)));
        CHECK(a.topic("news").texts == numbers(1, 20 + epochs));
    }
}

TEST_CASE("older data with as many other messages is found out by the last one")
{
    RedisServer server;
    TestNode a({server.address()});
    REQUIRE(a.load("news"));
    publish(a, "news", 1, 10);
    REQUIRE(a.received("news", 10));
    server.kill();
    server.save_data();
    server.start();
    publish(a, "news", 11, 12);
    REQUIRE(a.received("news", 12));
    server.kill();
    server.return_to_saved_data();
    server.start();
    // Others publish before a has come back: as if it had been away.
    server.command({"XADD", "websock:s:news", "11-1", "m", std::string(40, 'x')});
    server.command({"XADD", "websock:s:news", "12-1", "m", std::string(40, 'x')});
    server.set_offset("news", 12);
    REQUIRE(until([&] {
        server.command({"CLIENT", "KILL", "TYPE", "pubsub"});
        return a.topic("news").epochs == 1;
    }));
    publish(a, "news", 13, 13);
    CHECK(a.received("news", 13));
}

TEST_CASE("half a transaction that a killed server comes back with later changes no log")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    // What both nodes write looks like this; the packet is another message.
    const std::string packet = cluster.server.command({"XRANGE", "websock:s:news", "10", "10"});
    std::string other = packet.substr(packet.find("m\n") + 2);
    other.erase(other.find_last_not_of('\n') + 1);
    other[2] = static_cast<char>(other[2] ^ 1); // its node
    other.back() = '?';
    const std::string state = cluster.server.command({"HGET", "websock:h:news", "s"});
    cluster.server.kill();
    cluster.server.leave_half_a_transaction(
        {{"XADD", "websock:s:news", "11-1", "m", other}, {"HSET", "websock:h:news", "s", state}});
    cluster.server.start(); // without it
    publish(cluster.a, "news", 11, 11);
    REQUIRE(cluster.b.received("news", 11));
    cluster.server.kill();
    cluster.server.start(); // with it
    if (cluster.server.command({"XLEN", "websock:s:news"}) == "11")
        MESSAGE("this redis-server does not come back with it");
    TestNode late({cluster.server.address()});
    REQUIRE(late.load("news"));
    publish(cluster.a, "news", 12, 12);
    for (TestNode *node : {&cluster.a, &cluster.b, &late}) {
        REQUIRE(node->received("news", 12));
        CHECK(node->topic("news").texts == numbers(1, 12));
        CHECK(node->topic("news").epochs == 0);
    }
}

TEST_CASE("a node that is too slow is cut off by the server, and gets the rest from the log")
{
    Cluster cluster({"client-output-buffer-limit pubsub 64kb 64kb 1"});
    cluster.b.hold_deliveries(true);
    const std::string padding(1000, ' ');
    constexpr int kCount = 3000;
    for (int i = 1; i <= kCount; ++i)
        REQUIRE(cluster.a.publish("news", std::to_string(i) + padding) == 0);
    REQUIRE(cluster.a.received("news", kCount));
    cluster.b.hold_deliveries(false);
    REQUIRE(cluster.b.received("news", kCount));
    CHECK((cluster.b.topic("news").texts == cluster.a.topic("news").texts));
    CHECK(cluster.b.topic("news").lost == 0);
    CHECK(cluster.b.stats().gaps_filled > 0);
}

TEST_CASE("what has left the log before a node could get it is lost, and said to be")
{
    RedisServer server({"client-output-buffer-limit pubsub 64kb 64kb 1"});
    TestNode a({server.address()});
    TestNode b({server.address()});
    a.options.history_messages = 16;
    REQUIRE(b.load("news"));
    b.hold_deliveries(true);
    const std::string padding(1000, ' ');
    for (int i = 1; i <= 3000; ++i)
        REQUIRE(a.publish("news", std::to_string(i) + padding) == 0);
    REQUIRE(until([&] { return a.stats().published == 3000; }));
    b.hold_deliveries(false);
    REQUIRE(until([&] { return b.topic("news").next == 3001; }));
    const TestNode::Topic got = b.topic("news");
    CHECK(got.lost > 0);
    CHECK(got.lost + got.texts.size() == 3000);
    CHECK(got.texts.back() == "3000" + padding);
}

TEST_CASE("a server that is full is asked again, and takes what has waited in its order")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    cluster.server.command({"CONFIG", "SET", "maxmemory", "1"});
    publish(cluster.a, "news", 11, 600);
    REQUIRE(until([&] { return cluster.a.log().find("OOM") != std::string::npos; }));
    CHECK(cluster.a.stats().unsent_messages == 590);
    CHECK(until([&] { return cluster.a.stats().away_ms > 0; }));
    cluster.server.command({"CONFIG", "SET", "maxmemory", "0"});
    check_got_all(cluster.b, "news", 600);
    CHECK(until([&] { return cluster.a.log().find("back after") != std::string::npos; }));
    CHECK(cluster.server.state("news", "n") == "600");
}

TEST_CASE("a disk that is full for a while costs no message")
{
    Cluster cluster({"appendfsync everysec"});
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    cluster.server.fill_disk(true);
    int last = 10;
    REQUIRE(until([&] {
        publish(cluster.a, "news", last + 1, last + 1);
        ++last;
        return cluster.a.log().find("MISCONF") != std::string::npos;
    }));
    cluster.server.fill_disk(false);
    check_got_all(cluster.b, "news", last);
}

TEST_CASE("a server that forgets its scripts gets them again")
{
    Cluster cluster;
    Stream stream(cluster.a, "news");
    for (int i = 0; i < 5; ++i) {
        REQUIRE(stream.goes_on_by(50));
        cluster.server.command({"SCRIPT", "FLUSH"});
    }
    check_got_all(cluster.b, "news", stream.end());
}

TEST_CASE("a topic whose key is of another type loses its messages, with a line in the log")
{
    Cluster cluster;
    REQUIRE(cluster.a.publish("strange", "x") == 0);
    REQUIRE(until([&] { return cluster.a.stats().published == 1; }));
    cluster.server.command({"SET", "websock:s:strange", "1"});
    cluster.server.command({"SET", "websock:h:odd", "1"});
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.a.publish("odd", "x") == 0);
    REQUIRE(cluster.a.publish("strange", "x") == 0);
    publish(cluster.a, "news", 11, 20);
    check_got_all(cluster.b, "news", 20);
    CHECK(cluster.a.stats().dropped == 2);
    CHECK(cluster.a.log().find("a message for topic odd is lost: WRONGTYPE") != std::string::npos);
    // The script has left nothing behind.
    CHECK(cluster.server.state("strange", "o") == "1");
    CHECK(cluster.server.command({"EXISTS", "websock:s:odd"}) == "0");
}

TEST_CASE("what others write into channels is ignored")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    const std::string epoch = cluster.server.state("news", "e");
    websock::redis::Packet latin;
    latin.opcode = WS_OPCODE_TEXT;
    latin.payload = "caf\xe9"; // well-formed, but not UTF-8
    const std::vector<std::string> garbage{
        "",
        "hello",
        std::string(100000, '\xff'),
        epoch,
        epoch + "ffffffffffffffff",
        epoch + "000000000000000b", // the right offset, and no packet
        epoch + "000000000000000b" + pack(latin),
        epoch + "00000000000fffff" + std::string(100, 'x'),
        "00000000000000010000000000000001" + std::string(100, '\0')};
    for (const std::string &bytes : garbage)
        cluster.server.command({"PUBLISH", "websock:c0:news", bytes});
    publish(cluster.a, "news", 11, 20);
    check_got_all(cluster.b, "news", 20);
    CHECK(cluster.b.stats().ignored > 0);
}

TEST_CASE("what others write into a log is lost to nobody but its offset")
{
    Cluster cluster;
    publish(cluster.a, "news", 1, 10);
    REQUIRE(cluster.b.received("news", 10));
    cluster.server.command({"XADD", "websock:s:news", "11-0", "m", "garbage"});
    cluster.server.set_offset("news", 11);
    publish(cluster.a, "news", 11, 20);
    REQUIRE(cluster.b.received("news", 20));
    CHECK(cluster.b.topic("news").texts == numbers(1, 20));
    CHECK(cluster.b.topic("news").lost == 1);
    // This one makes it impossible to go on with the log.
    cluster.server.command({"XADD", "websock:s:news", "999999999-0", "m", "garbage"});
    publish(cluster.a, "news", 21, 30);
    REQUIRE(cluster.b.received("news", 30));
    CHECK(cluster.b.topic("news").texts == numbers(1, 30));
    CHECK(cluster.b.topic("news").epochs == 1);
}

TEST_CASE("while a server is away, publications wait up to a bound")
{
    RedisServer server;
    libwebsock_redis_options options{};
    options.max_unsent_bytes = 100000;
    TestNode a({server.address()}, options);
    server.kill();
    int taken = 0;
    while (a.publish("news", std::to_string(taken + 1)) == 0)
        ++taken;
    CHECK(a.publish("news", "x") == EAGAIN);
    CHECK(taken > 200);
    CHECK(a.stats().unsent_bytes <= 100000);
    CHECK(a.stats().unsent_messages == static_cast<size_t>(taken));
    CHECK(until([&] { return a.stats().servers_connected == 0 && a.stats().away_ms > 0; }));
    server.start();
    REQUIRE(until([&] { return a.stats().unsent_messages == 0; }));
    CHECK(a.stats().unsent_bytes == 0);
    CHECK(server.state("news", "o") == std::to_string(taken));
    // One may always wait, however large it is.
    CHECK(a.publish("news", std::string(200000, 'x')) == 0);
}

TEST_CASE("topics can be followed while the server is away")
{
    RedisServer server;
    TestNode a({server.address()});
    REQUIRE(a.load("old"));
    server.kill();
    for (int i = 0; i < 100; ++i) {
        REQUIRE(a.follow("new") == 0);
        a.unfollow("new");
    }
    REQUIRE(a.follow("new") == 0);
    server.start();
    REQUIRE(until([&] { return a.topic("new").began; }));
    REQUIRE(a.publish("new", "1") == 0);
    REQUIRE(a.received("new", 1));
}

TEST_CASE("a node stops in bounded time although its server is away, or hangs")
{
    RedisServer server;
    TestNode a({server.address()});
    TestNode b({server.address()});
    server.freeze();
    publish(a, "news", 1, 10);
    a.stop();
    CHECK(a.log().find("10 publications had not left") != std::string::npos);
    server.thaw();
    server.kill();
    publish(b, "news", 1, 10);
    b.stop();
    CHECK(b.log().find("10 publications had not left") != std::string::npos);
}
