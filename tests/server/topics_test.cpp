// topics_test.cpp: topics as clients see them: who gets which messages, in which order, and what
// becomes of who is behind. What a log keeps is in topics/topic_log_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

// A client asks by a text: "+room" subscribes, "-room" unsubscribes, anything else is published
// in "room". The answer to the first two is "ok", or the errno value.
void serve(Scene &, libwebsock_client_state *client, libwebsock_message *msg)
{
    const std::string text(msg->payload, msg->payload_len);
    const char *topic = text.c_str() + 1;
    int error = -1;
    if (text[0] == '+')
        error = error_of(subscribe(client, topic));
    else if (text[0] == '-')
        error = error_of(libwebsock_unsubscribe(client, topic));
    else
        CHECK(publish(client->ctx, {.text = text, .publisher = client}) == 0);
    if (error >= 0)
        libwebsock_send_text(client, error == 0 ? "ok" : std::to_string(error).c_str());
}

Client subscribed(Server &server, const std::string &topic = "room")
{
    Client client = Client::open(server.port());
    client.send_text("+" + topic);
    REQUIRE(client.receive_text() == "ok");
    return client;
}

} // namespace

TEST_CASE("what is sent before a subscription comes before its messages")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 16 * 1024 * 1024; },
                   .keep_handles = true});
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    libwebsock_client_state *const handle = server.handle();
    REQUIRE(publish(server.context(), {.text = "of the topic"}) == 0);
    const std::string large(8 * 1024 * 1024, '.');
    CHECK(libwebsock_queue_text(handle, large.data(), large.size()) == 0);
    CHECK(libwebsock_send_all_text(server.context(), "to all") == 0);
    CHECK(libwebsock_queue_text(handle, "queued", 6) == 0);
    CHECK(subscribe(handle, "room", {.history = 1}) == 0);
    CHECK(client.receive_text() == large);
    CHECK(client.receive_text() == "to all");
    CHECK(client.receive_text() == "queued");
    CHECK(client.receive_text() == "of the topic");
}

TEST_CASE("a stop does not wait for ever for an onpublished that is far behind")
{
    static std::atomic<int> told;
    told = 0;
    Server server({.settings = [](auto *context) {
        context->drain_timeout_ms = 100;
        context->onpublished = [](auto *, auto *) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20)); // its work
            ++told;
        };
    }});
    for (int i = 0; i < 1000; ++i)
        REQUIRE(publish(server.context(), {.text = "news"}) == 0);
    CHECK(eventually([] { return told > 0; }));
    CHECK(server.stop_and_join() == 0);
    CHECK(told < 1000);
}

TEST_CASE("what is published comes to all who have subscribed, and to nobody else")
{
    Server server({.onmessage = serve});
    Client alice = subscribed(server);
    Client bob = subscribed(server);
    Client other = subscribed(server, "other");
    CHECK(publish(server.context(), {.text = "hello"}) == 0);
    CHECK(publish(server.context(), {.topic = "other", .text = "elsewhere"}) == 0);
    CHECK(publish(server.context(), {.topic = "nobody", .text = "unheard"}) == 0);
    CHECK(alice.receive_text() == "hello");
    CHECK(bob.receive_text() == "hello");
    CHECK(other.receive_text() == "elsewhere");
    CHECK(libwebsock_topic_subscribers(server.context(), "room") == 2);
    CHECK(libwebsock_topic_subscribers(server.context(), "nobody") == 0);
}

TEST_CASE("a client that publishes gets its own message, unless it does not want it")
{
    Server server({.onmessage = [](Scene &scene, libwebsock_client_state *client,
                                   libwebsock_message *msg) {
        if (std::string(msg->payload) == "quietly")
            libwebsock_send_text(client, error_of(subscribe(client, "room", {.no_echo = true})) == 0
                                             ? "ok"
                                             : "failed");
        else
            serve(scene, client, msg);
    }});
    Client loud = subscribed(server);
    Client quiet = Client::open(server.port());
    quiet.send_text("quietly");
    CHECK(quiet.receive_text() == "ok");
    quiet.send_text("from the quiet one");
    CHECK(loud.receive_text() == "from the quiet one");
    loud.send_text("from the loud one");
    CHECK(loud.receive_text() == "from the loud one");
    CHECK(quiet.receive_text() == "from the loud one");
}

TEST_CASE("after unsubscribing nothing comes any more")
{
    Server server({.onmessage = serve});
    Client client = subscribed(server);
    CHECK(publish(server.context(), {.text = "one"}) == 0);
    CHECK(client.receive_text() == "one");
    client.send_text("-room");
    CHECK(client.receive_text() == "ok");
    CHECK(publish(server.context(), {.text = "two"}) == 0);
    client.send_text("-room");
    CHECK(client.receive_text() == std::to_string(ENOENT));
}

TEST_CASE("a newcomer gets the last messages first, then the ones that follow")
{
    Server server({.onopen = [](Scene &, libwebsock_client_state *client) {
        CHECK(subscribe(client, "room", {.history = 2}) == 0);
    }});
    for (const char *text : {"one", "two", "three"})
        CHECK(publish(server.context(), {.text = text}) == 0);
    Client client = Client::open(server.port());
    CHECK(client.receive_text() == "two");
    CHECK(client.receive_text() == "three");
    CHECK(publish(server.context(), {.text = "four"}) == 0);
    CHECK(client.receive_text() == "four");
}

TEST_CASE("a client resumes behind the message that it got last")
{
    Server server(
        {.onmessage = [](Scene &, libwebsock_client_state *client, libwebsock_message *msg) {
            const int error = error_of(subscribe(client, "room", {.after_id = msg->payload}));
            if (error != 0)
                libwebsock_send_text(client, error == ENOENT ? "gone" : "failed");
        }});
    for (const char *text : {"1", "2", "3", "4"})
        CHECK(publish(server.context(), {.text = text, .id = text}) == 0);
    Client client = Client::open(server.port());
    client.send_text("2");
    CHECK(client.receive_text() == "3");
    CHECK(client.receive_text() == "4");
    Client late = Client::open(server.port());
    late.send_text("0");
    CHECK(late.receive_text() == "gone");
    CHECK(libwebsock_topic_subscribers(server.context(), "room") == 1);
}

TEST_CASE("all subscribers see the messages of several publishers in one order")
{
    constexpr int kPublishers = 4;
    constexpr int kEach = 250;
    Server server(
        {.settings =
             [](auto *context) { CHECK(configure(context, "", {.messages = 10'000}) == 0); },
         .onmessage = serve});
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(subscribed(server));
    std::vector<std::thread> publishers;
    for (int p = 0; p < kPublishers; ++p)
        publishers.emplace_back([&, p] {
            for (int i = 0; i < kEach; ++i)
                CHECK(publish(server.context(),
                              {.text = std::to_string(p) + ":" + std::to_string(i)}) == 0);
        });
    std::vector<std::vector<std::string>> seen(clients.size());
    for (size_t c = 0; c < clients.size(); ++c)
        for (int i = 0; i < kPublishers * kEach; ++i)
            seen[c].push_back(clients[c].receive_text());
    for (std::thread &publisher : publishers)
        publisher.join();
    CHECK(seen[1] == seen[0]);
    CHECK(seen[2] == seen[0]);
    std::vector<int> next(kPublishers);
    for (const std::string &text : seen[0]) {
        const size_t publisher = static_cast<size_t>(text[0] - '0');
        CHECK(text == std::to_string(publisher) + ":" + std::to_string(next[publisher]++));
    }
}

TEST_CASE("whoever subscribes during a storm gets everything from some message on")
{
    Server server(
        {.settings =
             [](auto *context) { CHECK(configure(context, "", {.messages = 100'000}) == 0); },
         .onmessage = serve});
    // Whoever is behind by more than the log holds is closed: the storm does not get so far ahead.
    constexpr int kAhead = 4'000;
    std::atomic<int> published{0};
    std::atomic<int> seen{0};
    std::jthread storm([&](const std::stop_token &stop) {
        for (int i = 0; !stop.stop_requested();) {
            if (i > seen + kAhead) {
                std::this_thread::yield();
                continue;
            }
            CHECK(publish(server.context(), {.text = std::to_string(i)}) == 0);
            published = ++i;
        }
    });
    for (int c = 0; c < 10; ++c) {
        Client client = Client::open(server.port());
        client.send_text("+room");
        int next = -1;
        for (int i = 0; i < 100;) {
            const std::string text = client.receive_text();
            if (text == "ok") {
                seen = published.load();
                continue;
            }
            if (next >= 0)
                CHECK(std::stoi(text) == next);
            next = std::stoi(text) + 1;
            seen = std::max(seen.load(), next);
            ++i;
        }
    }
}

TEST_CASE("of messages with one key, a client that was not reading gets the newest")
{
    constexpr int kRounds = 2000;
    Server server(
        {.settings = [](auto *context) { context->send_buffer_bytes = 4096; }, .onmessage = serve});
    Client slow(server.port(), {.receive_buffer = 4096});
    slow.handshake();
    slow.send_text("+room");
    CHECK(slow.receive_text() == "ok");
    const std::string padding(1000, '.');
    for (int i = 0; i <= kRounds; ++i)
        for (const char *key : {"EUR", "USD"})
            CHECK(publish(server.context(),
                          {.text = key + std::to_string(i) + padding, .key = key}) == 0);
    int last_eur = -1;
    int last_usd = -1;
    int received = 0;
    while (last_eur < kRounds || last_usd < kRounds) {
        const std::string text = slow.receive_text();
        int &last = text.starts_with("EUR") ? last_eur : last_usd;
        const int now = std::stoi(text.substr(3));
        CHECK(now > last);
        last = now;
        ++received;
    }
    CHECK(received < 2 * kRounds);
    CHECK(server.stats().replaced > 0);
    CHECK(server.stats().missed == 0);
}

TEST_CASE("who falls behind skips ahead, and onmissed says how many messages that were")
{
    static std::atomic<unsigned long long> told;
    static std::atomic<int> wrong_topic;
    told = 0;
    wrong_topic = 0;
    constexpr unsigned long long kCount = 5000;
    Server server(
        {.settings =
             [](auto *context) {
                 context->send_buffer_bytes = 4096;
                 context->onmissed = [](libwebsock_client_state *, const char *topic,
                                        unsigned long long messages) {
                     told += messages;
                     wrong_topic += std::string(topic) != "room";
                     return 0;
                 };
                 CHECK(configure(context, "room",
                                 {.messages = 100, .when_behind = LIBWEBSOCK_BEHIND_SKIP}) == 0);
             },
         .onmessage = serve});
    Client slow(server.port(), {.receive_buffer = 4096});
    slow.handshake();
    slow.send_text("+room");
    CHECK(slow.receive_text() == "ok");
    const std::string padding(1000, '.');
    for (unsigned long long i = 0; i < kCount; ++i)
        CHECK(publish(server.context(), {.text = std::to_string(i) + padding}) == 0);
    unsigned long long received = 0;
    unsigned long long next = 0;
    while (next < kCount) {
        const unsigned long long now = std::stoull(slow.receive_text());
        CHECK(now >= next);
        next = now + 1;
        ++received;
    }
    CHECK(received < kCount);
    CHECK(eventually([&] { return told == kCount - received; }));
    CHECK(wrong_topic == 0);
    CHECK(server.stats().missed == kCount - received);
    CHECK(server.stats().closed_behind == 0);
}

TEST_CASE("who falls behind is closed with 1013, if the topic says nothing else")
{
    Server server({.settings =
                       [](auto *context) {
                           context->send_buffer_bytes = 4096;
                           CHECK(configure(context, "", {.messages = 100}) == 0);
                       },
                   .onmessage = serve});
    Client slow(server.port(), {.receive_buffer = 4096});
    slow.handshake();
    slow.send_text("+room");
    CHECK(slow.receive_text() == "ok");
    const std::string text(1000, '.');
    for (int i = 0; i < 5000; ++i)
        CHECK(publish(server.context(), {.text = text}) == 0);
    Frame frame;
    while ((frame = slow.receive_frame()).opcode == WS_OPCODE_TEXT)
        CHECK(frame.payload == text);
    CHECK(frame.opcode == WS_OPCODE_CLOSE);
    CHECK(frame.payload.substr(0, 2) == "\x03\xf5"); // 1013
    CHECK(server.log().has(kAnyLevel, {"closed with 1013", "topic room"}));
    CHECK(server.stats().closed_behind == 1);
    CHECK(server.log().has(kAnyLevel, {slow.address(), "closed with 1013", "topic room"}));
}

TEST_CASE("a subscriber that does not read holds up neither publishers nor the others")
{
    Server server(
        {.settings =
             [](auto *context) {
                 CHECK(configure(context, "",
                                 {.messages = 10, .when_behind = LIBWEBSOCK_BEHIND_SKIP}) == 0);
             },
         .onmessage = serve});
    Client deaf(server.port(), {.receive_buffer = 4096});
    deaf.handshake();
    deaf.send_text("+room");
    CHECK(deaf.receive_text() == "ok");
    Client reader = subscribed(server);
    const std::string text(100'000, '.');
    for (int i = 0; i < 200; ++i) { // 20 MB: more than sockets hold
        CHECK(publish(server.context(), {.text = text}) == 0);
        CHECK(reader.receive_text() == text);
    }
    CHECK(server.stats().blocked_writers == 1);
    CHECK(server.stats().topic_bytes < 2'000'000);
}

TEST_CASE("fragments of the client's own message are not interrupted by topics")
{
    Server server({.onmessage = serve, .keep_handles = true});
    Client client = subscribed(server);
    libwebsock_client_state *handle = server.handle();
    CHECK(libwebsock_send_fragment(handle, "be", 2, WS_OPCODE_TEXT) == 0);
    CHECK(publish(server.context(), {.text = "published"}) == 0);
    CHECK(libwebsock_send_fragment(handle, "gin", 3, WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN) == 0);
    Frame first = client.receive_frame();
    CHECK(first.payload == "be");
    CHECK_FALSE(first.fin);
    CHECK(client.receive_frame().payload == "gin");
    CHECK(client.receive_text() == "published");
}

TEST_CASE("a large message, of which a part was written, goes on from where it stopped")
{
    Server server({.settings =
                       [](auto *context) {
                           context->send_buffer_bytes = 64 * 1024;
                           CHECK(configure(context, "", {.bytes = 16 << 20}) == 0);
                       },
                   .onmessage = serve});
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    client.send_text("+room");
    CHECK(client.receive_text() == "ok");
    std::string large;
    while (large.size() < 3'000'000)
        large += std::to_string(large.size()) + " ";
    CHECK(publish(server.context(), {.text = large}) == 0);
    CHECK(publish(server.context(), {.text = "behind it"}) == 0);
    CHECK(eventually([&] { return server.stats().blocked_writers == 1; }));
    client.send_frame(true, WS_OPCODE_PING, "now");
    // The pong may come before, if it is answered before the large one begins, and between.
    std::vector<std::string> published;
    for (int i = 0; i < 3; ++i) {
        const std::string payload = client.receive_past_pings().payload;
        if (payload != "now")
            published.push_back(payload);
    }
    REQUIRE(published.size() == 2);
    const bool whole = published[0] == large; // not in CHECK, which would print it
    CHECK(whole);
    CHECK(published[1] == "behind it");
}

TEST_CASE("subscriptions end with their connection, before onclose")
{
    static std::atomic<size_t> in_onclose;
    in_onclose = 7;
    Server server({.onmessage = serve, .onclose = [](Scene &, libwebsock_client_state *client) {
                       in_onclose = libwebsock_topic_subscribers(client->ctx, "room");
                   }});
    {
        Client client = subscribed(server);
        CHECK(libwebsock_topic_subscribers(server.context(), "room") == 1);
        client.send_close(1000);
        client.receive_close();
        client.expect_eof();
    }
    CHECK(eventually([&] { return libwebsock_topic_subscribers(server.context(), "room") == 0; }));
    CHECK(server.stats().topics == 0);
}

TEST_CASE("a handle whose connection has gone can neither subscribe nor be told anything")
{
    Server server({.onmessage = serve, .keep_handles = true});
    {
        Client client = subscribed(server);
        client.reset();
    }
    server.events().wait(Kind::close);
    CHECK(error_of(subscribe(server.handle(), "room")) == ENOTCONN);
    server.free();
    CHECK(error_of(subscribe(server.handle(), "room")) == ENOTCONN);
    CHECK(error_of(libwebsock_unsubscribe(server.handle(), "room")) == ENOENT);
}

TEST_CASE("onpublished is told of every message, in order")
{
    static std::mutex mutex;
    static std::string told;
    told.clear();
    Server server({.settings = [](auto *context) {
        context->onpublished = [](libwebsock_context *, const libwebsock_publication *what) {
            std::lock_guard lock(mutex);
            told += std::string(what->topic) + "=" + static_cast<const char *>(what->payload);
            told += what->id ? std::string("#") + what->id : "";
            told += what->key ? std::string("@") + what->key : "";
            told += what->opcode == WS_OPCODE_BINARY ? "b " : " ";
        };
    }});
    CHECK(publish(server.context(), {.text = "x", .id = "1"}) == 0);
    CHECK(publish(server.context(), {.topic = "price", .text = "y", .key = "EUR"}) == 0);
    CHECK(libwebsock_publish_binary(server.context(), "room", "z", 1) == 0);
    CHECK(eventually([] {
        std::lock_guard lock(mutex);
        return told == "room=x#1 price=y@EUR room=zb ";
    }));
}

TEST_CASE("what is published from onclose, and while the server stops, is published or refused")
{
    static std::atomic<int> refused;
    refused = 0;
    std::thread publisher;
    {
        Server server({.settings = [](auto *context) { context->close_timeout_ms = 100; },
                       .onmessage = serve,
                       .onclose =
                           [](Scene &, libwebsock_client_state *client) {
                               CHECK(libwebsock_publish_text(client->ctx, "room", "gone") == 0);
                           }});
        Client alice = subscribed(server);
        Client bob = subscribed(server);
        alice.reset();
        CHECK(bob.receive_text() == "gone");
        libwebsock_context *const context = server.context();
        publisher = std::thread([context] {
            while (libwebsock_publish_text(context, "room", "on and on") == 0) {
            }
            refused = errno;
        });
        CHECK(server.stop_and_join() == 0);
        publisher.join();
    }
    CHECK(refused == ESHUTDOWN);
}

TEST_CASE("arguments that cannot be are refused, and nothing is published")
{
    Server server({.settings = [](auto *context) { context->max_subscriptions_per_client = 2; },
                   .onmessage = serve,
                   .keep_handles = true});
    Client client = subscribed(server);
    libwebsock_context *context = server.context();
    libwebsock_client_state *handle = server.handle();
    CHECK(error_of(publish(context, {.topic = "", .text = "x"})) == EINVAL);
    CHECK(error_of(publish(context, {.topic = std::string(256, 'x'), .text = "x"})) == EINVAL);
    CHECK(error_of(publish(context, {.topic = "\xff", .text = "x"})) == EINVAL);
    CHECK(error_of(publish(context, {.text = "\xff"})) == EILSEQ);
    CHECK(error_of(publish(context, {.text = "x", .id = std::string(64, 'i')})) == EINVAL);
    CHECK(error_of(publish(context, {.text = "x", .key = std::string(64, 'k')})) == EINVAL);
    CHECK(error_of(publish(nullptr, {.text = "x"})) == EINVAL);
    CHECK(error_of(libwebsock_publish_text(context, "room", nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_publish_text(context, nullptr, "x")) == EINVAL);
    CHECK(error_of(libwebsock_publish_binary(context, "room", nullptr, 1)) == EINVAL);
    libwebsock_publication unknown{};
    CHECK(error_of(libwebsock_publish(context, &unknown)) == EINVAL);
    libwebsock_subscription other{};
    other.size = 3;
    CHECK(error_of(libwebsock_subscribe(handle, "x", &other)) == EINVAL);
    CHECK(error_of(subscribe(nullptr, "room")) == EINVAL);
    CHECK(error_of(subscribe(handle, "room")) == EEXIST);
    CHECK(error_of(subscribe(handle, "second")) == 0);
    CHECK(error_of(subscribe(handle, "third")) == ENOBUFS);
    CHECK(error_of(configure(context, "", {.ms = -1})) == EINVAL);
    CHECK(error_of(configure(context, "", {.when_behind = 7})) == EINVAL);
    CHECK(error_of(libwebsock_configure_topics(context, "", nullptr)) == EINVAL);
    libwebsock_topic_statistics stats{};
    CHECK(error_of(libwebsock_topic_stats(context, "room", &stats)) == EINVAL);
    stats.size = sizeof stats;
    CHECK(error_of(libwebsock_topic_stats(context, "nowhere", &stats)) == ENOENT);
    CHECK(server.stats().publications == 0);
    CHECK(publish(context, {.text = "fine", .id = std::string(63, 'i')}) == 0);
    CHECK(client.receive_text() == "fine");
}

TEST_CASE("a topic says what it keeps")
{
    Server server({.onmessage = serve});
    Client client = subscribed(server);
    for (const char *text : {"one", "two", "three"})
        CHECK(publish(server.context(), {.text = text}) == 0);
    for (const char *text : {"one", "two", "three"})
        CHECK(client.receive_text() == text);
    libwebsock_topic_statistics stats{};
    stats.size = sizeof stats;
    CHECK(eventually([&] {
        return libwebsock_topic_stats(server.context(), "room", &stats) == 0 &&
               stats.furthest_behind == 0;
    }));
    CHECK(stats.offset == 3);
    CHECK(stats.messages == 3);
    CHECK(stats.subscribers == 1);
    CHECK(stats.epoch > 0);
    CHECK(stats.bytes > 0);
    CHECK(server.stats().publications == 3);
    CHECK(server.stats().deliveries == 3);
    CHECK(server.stats().topics == 1);
}

TEST_CASE("topics that nobody has subscribed to make room for others")
{
    Server server({.settings =
                       [](auto *context) {
                           context->max_topics = 10;
                           context->max_topic_bytes = 100'000;
                       },
                   .onmessage = serve});
    Client client = subscribed(server, "kept");
    const std::string text(1000, 'x');
    for (int i = 0; i < 1000; ++i) {
        CHECK(publish(server.context(), {.topic = std::to_string(i), .text = text}) == 0);
        CHECK(server.stats().topics <= 10);
    }
    for (int i = 0; i < 1000; ++i)
        CHECK(publish(server.context(), {.topic = "999", .text = text}) == 0);
    CHECK(server.stats().topic_bytes <= 110'000);
    CHECK(publish(server.context(), {.topic = "kept", .text = "still here"}) == 0);
    CHECK(client.receive_text() == "still here");
}

TEST_CASE("when all topics have subscribers, there is no room for another one")
{
    Server server({.settings = [](auto *context) { context->max_topics = 2; }, .onmessage = serve});
    Client first = subscribed(server, "1");
    Client second = subscribed(server, "2");
    CHECK(error_of(publish(server.context(), {.topic = "3", .text = "x"})) == ENOBUFS);
    second.send_text("+3");
    CHECK(second.receive_text() == std::to_string(ENOBUFS));
    CHECK(publish(server.context(), {.topic = "1", .text = "fine"}) == 0);
    CHECK(first.receive_text() == "fine");
}
