// chaos_test.cpp: three nodes publish while their redis-server is killed, frozen, filled and cut
// off at random, for CHAOS_SECONDS (3) from CHAOS_SEED (a random one): all must have the same
// topics then.
#include "redis_server.h"
#include "test_node.h"
#include "until.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

using test::RedisServer;
using test::TestNode;

namespace {

constexpr size_t kNodes = 3;
constexpr size_t kTopics = 5;

std::string topic_name(size_t i) { return "topic" + std::to_string(i); }

unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *const text = std::getenv(name);
    return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

class Chaos
{
  public:
    explicit Chaos(unsigned seed) : random_(seed)
    {
        libwebsock_redis_options options{};
        options.command_timeout_ms = 200;
        for (size_t i = 0; i < kNodes; ++i) {
            nodes_.push_back(
                std::make_unique<TestNode>(std::vector<std::string>{server_.address()}, options));
            nodes_[i]->options.history_messages = 10000000;
            nodes_[i]->options.history_bytes = 1 << 30;
            for (size_t t = 0; t < kTopics; ++t)
                REQUIRE(nodes_[i]->load(topic_name(t)));
        }
        for (size_t i = 0; i < kNodes; ++i)
            threads_.emplace_back([this, i] { publish(i); });
    }
    ~Chaos() { end(); }

    void disturb_for(std::chrono::seconds time)
    {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
            pass(200);
            disturb();
        }
    }

    void end()
    {
        ended_ = true;
        for (std::thread &thread : threads_)
            thread.join();
        threads_.clear();
    }

    void check(size_t t)
    {
        size_t all = 0;
        for (size_t i = 0; i < kNodes; ++i)
            all += static_cast<size_t>(published_[i][t]);
        for (const auto &node : nodes_) {
            CHECK(node->received(topic_name(t), all));
            const TestNode::Topic got = node->topic(topic_name(t));
            CHECK(got.texts.size() == all);
            CHECK((got.texts == nodes_[0]->topic(topic_name(t)).texts));
            CHECK(got.lost == 0);
            CHECK(got.epochs == 0);
        }
        check_order(nodes_[0]->topic(topic_name(t)).texts);
    }

  private:
    // Each node's messages are numbered in each topic: "0:1", "0:2", ...
    void publish(size_t i)
    {
        for (size_t t = 0; !ended_; t = (t + 1) % kTopics) {
            const std::string text = std::to_string(i) + ":" + std::to_string(published_[i][t] + 1);
            if (nodes_[i]->publish(topic_name(t), text) == 0)
                ++published_[i][t];
            std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
    }

    static void check_order(const std::vector<std::string> &texts)
    {
        std::array<int, kNodes> last{};
        size_t out_of_order = 0;
        for (const std::string &text : texts)
            out_of_order += std::stoi(text.substr(2)) != ++last[static_cast<size_t>(text[0] - '0')];
        CHECK(out_of_order == 0);
    }

    void pass(unsigned most_ms)
    {
        std::this_thread::sleep_for(std::chrono::milliseconds(random_() % most_ms));
    }

    void disturb()
    {
        TestNode &node = *nodes_[random_() % kNodes];
        switch (random_() % 7) {
        case 0:
            server_.kill();
            pass(300);
            return server_.start();
        case 1:
            server_.freeze();
            pass(600); // mostly longer than the time-out
            return server_.thaw();
        case 2:
            server_.command({"CLIENT", "KILL", "TYPE", "normal"});
            return;
        case 3:
            server_.command({"CLIENT", "KILL", "TYPE", "pubsub"});
            return;
        case 4:
            server_.command({"SCRIPT", "FLUSH"});
            return;
        case 5:
            server_.command({"CONFIG", "SET", "maxmemory", "1"});
            pass(200);
            server_.command({"CONFIG", "SET", "maxmemory", "0"});
            return;
        default:
            node.hold_deliveries(true);
            pass(400);
            node.hold_deliveries(false);
        }
    }

    std::mt19937 random_;
    RedisServer server_;
    std::vector<std::unique_ptr<TestNode>> nodes_;
    std::array<std::array<std::atomic<int>, kTopics>, kNodes> published_{};
    std::atomic<bool> ended_{false};
    std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("whatever happens to a server that keeps its data, all nodes have the same topics")
{
    const unsigned seed = from_environment("CHAOS_SEED", std::random_device()());
    CAPTURE(seed);
    Chaos chaos(seed);
    chaos.disturb_for(std::chrono::seconds(from_environment("CHAOS_SECONDS", 3)));
    chaos.end();
    for (size_t t = 0; t < kTopics; ++t)
        chaos.check(t);
}
