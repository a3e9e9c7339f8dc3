// topics_test.cpp: topics: who has subscribed gets what is published, with history, ids and keys.
#include "running.h"

#include <doctest/doctest.h>

using namespace test;

TEST_CASE("subscribers get what is published, text and binary")
{
    websock::Server server;
    server.on_open([](const websock::Client &client) {
        client.subscribe("news");
        client.send("subscribed");
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "subscribed");
    CHECK(server.topic_subscribers("news") == 1);
    server.publish("news", "text");
    server.publish_binary("news", bytes_of("binary"));
    server.publish({.topic = "news", .text = "secret", .uncompressed = true});
    server.publish({.topic = "news", .binary = bytes_of("more")});
    CHECK(client.receive_text() == "text");
    const Frame frame = client.receive_frame();
    CHECK(frame.opcode == WS_OPCODE_BINARY);
    CHECK(frame.payload == "binary");
    CHECK(client.receive_text() == "secret");
    CHECK(client.receive_frame().payload == "more");
}

TEST_CASE("a subscription begins with the history, or after an id")
{
    websock::Server server;
    Told<int> unknown;
    server.on_open([&](const websock::Client &client) {
        const std::string_view path = client.request().path();
        if (path == "/all")
            client.subscribe("news", {.history = websock::all_history});
        else if (path == "/newest")
            client.subscribe("news", {.history = 1});
        else if (path == "/after")
            client.subscribe("news", {.after_id = "2"});
        else
            unknown.tell(client.try_subscribe("news", {.after_id = "9"}).value());
    });
    Running running(server);
    for (const char *const id : {"1", "2", "3"})
        server.publish({.topic = "news", .text = id, .id = id});
    for (const auto &[target, first] :
         {std::pair("/all", "1"), {"/newest", "3"}, {"/after", "3"}}) {
        Client client = running.connect(target);
        CHECK(client.receive_text() == first);
    }
    Client client = running.connect("/unknown");
    CHECK(unknown.get() == ENOENT);
}

TEST_CASE("a publisher does not get its own messages if it wants no echo")
{
    websock::Server server;
    server.on_open([](const websock::Client &client) {
        client.subscribe("room", {.no_echo = true});
        client.send("in");
    });
    server.on_message([&](const websock::Client &client, std::string_view text) {
        server.publish({.topic = "room", .text = text, .publisher = client});
        if (text == "leave")
            client.unsubscribe("room");
    });
    Running running(server);
    Client one = running.connect();
    Client two = running.connect();
    CHECK(one.receive_text() == "in");
    CHECK(two.receive_text() == "in");
    one.send_text("from one");
    CHECK(two.receive_text() == "from one");
    two.send_text("from two");
    CHECK(one.receive_text() == "from two"); // its own did not come first
}

TEST_CASE("a message with a key replaces the one before, for who comes later")
{
    websock::Server server;
    server.on_open([](const websock::Client &client) {
        client.subscribe("prices", {.history = websock::all_history});
    });
    Running running(server);
    server.publish({.topic = "prices", .text = "a 1", .key = "a"});
    server.publish({.topic = "prices", .text = "b 1", .key = "b"});
    server.publish({.topic = "prices", .text = "a 2", .key = "a"});
    Client client = running.connect();
    CHECK(client.receive_text() == "b 1");
    CHECK(client.receive_text() == "a 2");
}

TEST_CASE("a topic keeps what its options say, and has figures")
{
    websock::Server server;
    server.configure_topics("short/", {.history_messages = 2});
    CHECK(thrown_by([&] { server.configure_topics(std::string(300, 'x'), {}); }) == EINVAL);
    CHECK_FALSE(server.topic_stats("short/news"));
    for (const char *const text : {"1", "2", "3"})
        server.publish("short/news", text);
    const auto stats = server.topic_stats("short/news");
    REQUIRE(stats);
    CHECK(stats->messages == 2);
    CHECK(stats->offset == 3);
}

TEST_CASE("on_published sees every message")
{
    websock::Server server;
    Told<std::vector<std::string>> told;
    server.on_published([&](const websock::Published &published) {
        told.tell({std::string(published.topic()), std::string(published.text()),
                   std::string(published.id()), std::string(published.key()),
                   published.is_text() ? "text" : "binary"});
    });
    Running running(server);
    server.publish({.topic = "news", .text = "hello", .id = "7"});
    CHECK(told.get() == std::vector<std::string>{"news", "hello", "7", "", "text"});
}

TEST_CASE("a subscriber that was too slow is told what it has missed, if topics skip")
{
    websock::Server server;
    server.configure_topics("", {.history_messages = 4, .when_behind = websock::WhenBehind::skip});
    Told<std::string> missed;
    server.on_missed([&, told = false](const websock::Client &, std::string_view topic,
                                       unsigned long long messages) mutable {
        if (!std::exchange(told, true))
            missed.tell(std::string(topic) + (messages > 0 ? " missed" : ""));
    });
    server.on_open([](const websock::Client &client) {
        client.subscribe("news");
        client.send("in");
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "in");
    for (int i = 0; i < 100; ++i)
        server.publish("news", std::string(200'000, 'x'));
    server.publish("news", "end");
    while (client.receive_text() != "end")
        ;
    CHECK(missed.get() == "news missed");
}
