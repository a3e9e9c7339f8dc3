// topic_limits_test.cpp: what topics take of memory, whose turn it is among them, and what becomes
// of them where something is short. What clients see of topics is in topics_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

// A client asks by a text for the topic that it names.
void subscribe_to_text(Scene &, libwebsock_client_state *client, libwebsock_message *msg)
{
    const int error = error_of(subscribe(client, msg->payload));
    libwebsock_send_text(client, error == 0 ? "ok" : std::to_string(error).c_str());
}

void subscribe_in(Client &client, const std::string &topic)
{
    client.send_text(topic);
    REQUIRE(client.receive_text() == "ok");
}

} // namespace

TEST_CASE("memory of messages that have aged is free again, whoever notices it")
{
    Server server({.settings =
                       [](auto *context) {
                           context->max_topic_bytes = 1'000'000;
                           CHECK(configure(context, "", {.ms = 1}) == 0);
                       },
                   .onmessage = subscribe_to_text});
    Client client = Client::open(server.port());
    subscribe_in(client, "room");
    libwebsock_topic_statistics stats{};
    stats.size = sizeof stats;
    const std::string text(10'000, 'x');
    for (int i = 0; i < 20; ++i) {
        CHECK(publish(server.context(), {.topic = "aging", .text = text}) == 0);
        CHECK(eventually([&] {
            return libwebsock_topic_stats(server.context(), "aging", &stats) == 0 &&
                   stats.messages == 0;
        }));
        CHECK(server.stats().topic_bytes < text.size());
    }
}

TEST_CASE("onpublished is told in the order of the log, whoever publishes")
{
    static std::mutex mutex;
    static std::vector<std::string> told;
    told.clear();
    constexpr size_t kPublishers = 4;
    constexpr size_t kEach = 2000;
    Server server({.settings =
                       [](auto *context) {
                           context->onpublished = [](libwebsock_context *,
                                                     const libwebsock_publication *what) {
                               const std::lock_guard lock(mutex);
                               told.emplace_back(static_cast<const char *>(what->payload));
                           };
                           CHECK(configure(context, "", {.messages = 100'000}) == 0);
                       },
                   .onmessage = subscribe_to_text});
    Client client = Client::open(server.port());
    subscribe_in(client, "room");
    std::vector<std::thread> publishers;
    for (size_t p = 0; p < kPublishers; ++p)
        publishers.emplace_back([&, p] {
            for (size_t i = 0; i < kEach; ++i)
                CHECK(publish(server.context(),
                              {.text = std::to_string(p) + ":" + std::to_string(i)}) == 0);
        });
    std::vector<std::string> received;
    while (received.size() < kPublishers * kEach)
        received.push_back(client.receive_text());
    for (std::thread &publisher : publishers)
        publisher.join();
    CHECK(eventually([] {
        const std::lock_guard lock(mutex);
        return told.size() == kPublishers * kEach;
    }));
    CHECK(told == received);
}

TEST_CASE("a message that can never have room costs nobody else's messages")
{
    Server server({.settings = [](auto *context) { context->max_topic_bytes = 100'000; },
                   .keep_handles = true});
    CHECK(publish(server.context(), {.text = "small"}) == 0);
    CHECK(publish(server.context(), {.topic = "other", .text = "small too"}) == 0);
    for (const char *topic : {"room", "new"})
        CHECK(error_of(publish(server.context(),
                               {.topic = topic, .text = std::string(100'000, 'x')})) == ENOBUFS);
    Client client = Client::open(server.port());
    for (const char *topic : {"room", "other"})
        CHECK(subscribe(server.handle(), topic, {.history = 1}) == 0);
    CHECK(client.receive_text() == "small");
    CHECK(client.receive_text() == "small too");
}

TEST_CASE("subscribing that fails does not cost another topic its history")
{
    Server server({.settings =
                       [](auto *context) {
                           context->max_topics = 2;
                           context->max_subscriptions_per_client = 1;
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    server.events().wait(Kind::open); // its handle is the first
    Client newcomer = Client::open(server.port());
    CHECK(subscribe(server.handle(1), "room") == 0);
    CHECK(publish(server.context(), {.topic = "old", .text = "kept"}) == 0);
    CHECK(error_of(subscribe(server.handle(1), "one too many")) == ENOBUFS);
    CHECK(error_of(subscribe(server.handle(2), "unknown", {.after_id = "1"})) == ENOENT);
    CHECK(subscribe(server.handle(2), "old", {.history = 1}) == 0);
    CHECK(newcomer.receive_text() == "kept");
}

// Each finds room at the expense of the others, also when its own has become the oldest meanwhile.
TEST_CASE("publishers that crowd out each other's topics are not refused")
{
    constexpr int kPublishers = 4;
    constexpr int kEach = 20'000;
    Server server({.settings = [](auto *context) { context->max_topic_bytes = 12'000; }});
    std::atomic<int> refused{0};
    std::vector<std::thread> publishers;
    for (int p = 0; p < kPublishers; ++p)
        publishers.emplace_back([&, p] {
            const std::string text(4'000, 'x');
            for (int i = 0; i < kEach; ++i)
                refused +=
                    publish(server.context(), {.topic = std::to_string(p), .text = text}) != 0;
        });
    for (std::thread &publisher : publishers)
        publisher.join();
    CHECK(refused == 0);
}

TEST_CASE("messages of before the server ran are not told to an onpublished that was taken away")
{
    Server server({.settings =
                       [](auto *context) {
                           context->onpublished = [](libwebsock_context *,
                                                     const libwebsock_publication *) {};
                           CHECK(publish(context, {.text = "early"}) == 0);
                           context->onpublished = nullptr;
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    CHECK(subscribe(server.handle(), "room", {.history = 1}) == 0);
    CHECK(client.receive_text() == "early");
}

// Each write to this client takes a few messages only.
TEST_CASE("a busy topic does not keep the messages of another one from a slow client")
{
    Server server({.settings =
                       [](auto *context) {
                           context->send_buffer_bytes = 4096;
                           CHECK(configure(context, "", {.when_behind = LIBWEBSOCK_BEHIND_SKIP}) ==
                                 0);
                       },
                   .onmessage = subscribe_to_text});
    Client slow(server.port(), {.receive_buffer = 4096});
    slow.handshake();
    subscribe_in(slow, "busy");
    subscribe_in(slow, "quiet");
    const std::string text(1000, '.');
    const auto storm = [&] {
        for (int i = 0; i < 300; ++i)
            CHECK(publish(server.context(), {.topic = "busy", .text = text}) == 0);
    };
    storm();
    CHECK(publish(server.context(), {.topic = "quiet", .text = "psst"}) == 0);
    // The sockets hold some hundred of these at most; the log always has more.
    int before = 0;
    while (slow.receive_text() == text && ++before < 2000) {
        if (before % 100 == 0)
            storm();
    }
    CHECK(before < 1000);
}

TEST_CASE("senders that never pause do not keep a client's topics from it")
{
    Server server({.settings = [](auto *context) { context->close_timeout_ms = 100; },
                   .onmessage = subscribe_to_text,
                   .keep_handles = true});
    Client client = Client::open(server.port());
    subscribe_in(client, "room");
    std::atomic<bool> stop{false};
    std::vector<std::thread> senders;
    for (int s = 0; s < 8; ++s)
        senders.emplace_back([&] {
            const std::string sent(20, 's');
            while (!stop && libwebsock_send_text(server.handle(), sent.c_str()) == 0) {
            }
        });
    std::thread reader([&] { client.drain(); });
    unsigned long long sum = 0;
    for (unsigned long long i = 1; i <= 100; ++i) {
        const unsigned long long before = server.stats().messages_out;
        CHECK(publish(server.context(), {.text = "published"}) == 0);
        CHECK(eventually([&] { return server.stats().deliveries == i; }));
        sum += server.stats().messages_out - before;
    }
    CHECK(sum < 400'000); // that many in 100 times of about a millisecond; or ten times as many
    stop = true;
    for (std::thread &sender : senders)
        sender.join();
    server.free();
    reader.join();
}

TEST_CASE("a client that misses messages all the time still has its other events")
{
    static const std::string text(10'000, '.');
    static std::atomic<bool> over;
    over = false;
    Server server(
        {.settings =
             [](auto *context) {
                 context->send_buffer_bytes = 4096;
                 // More messages are missed before this returns.
                 context->onmissed = [](libwebsock_client_state *client, const char *,
                                        unsigned long long) {
                     const auto missed = [&] {
                         libwebsock_statistics stats{};
                         stats.size = sizeof stats;
                         libwebsock_stats(client->ctx, &stats);
                         return stats.missed;
                     };
                     const unsigned long long before = missed();
                     CHECK(eventually([&] {
                         publish(client->ctx, {.text = text});
                         return over || missed() > before;
                     }));
                     return 0;
                 };
                 CHECK(configure(context, "",
                                 {.messages = 1, .when_behind = LIBWEBSOCK_BEHIND_SKIP}) == 0);
             },
         .onmessage = subscribe_to_text});
    Client client = Client::open(server.port());
    subscribe_in(client, "room");
    std::atomic<bool> stop{false};
    size_t failed = 0;
    std::thread storm([&] {
        while (!stop)
            failed += publish(server.context(), {.text = text}) != 0;
    });
    while (server.stats().missed == 0)
        client.receive_frame();
    client.send_text("another");
    int others = 0;
    while (client.receive_text() != "ok" && others < 100'000)
        ++others;
    CHECK(others < 100'000);
    over = stop = true;
    storm.join();
    CHECK(failed == 0);
    client.reset();
}
