// backplane_test.cpp: topics whose logs a backplane keeps for several servers: one order, history
// and resume on any of them, and what becomes of what is lost.
#include "tests/server/topic_calls.h"
#include "tests/support/memory_backplane.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

// "+" subscribes to room with all its history, "+id" behind that id; the answer is "ok" or the
// errno value. Anything else is published in room, without an echo.
void serve(Scene &, libwebsock_client_state *client, libwebsock_message *msg)
{
    const std::string text(msg->payload, msg->payload_len);
    if (text[0] != '+') {
        CHECK(publish(client->ctx, {.text = text, .publisher = client}) == 0);
        return;
    }
    const How how{
        .history = text.size() > 1 ? 0 : SIZE_MAX, .after_id = text.substr(1), .no_echo = true};
    const int error = error_of(subscribe(client, "room", how));
    libwebsock_send_text(client, error == 0 ? "ok" : std::to_string(error).c_str());
}

Behaviour shared(MemoryBackplane &backplane)
{
    const auto settings = [&](auto *context) {
        CHECK(backplane.serve(context) == 0);
        CHECK(configure(context, "", {.messages = 1000}) == 0);
    };
    return {.settings = settings, .onmessage = serve};
}

Client subscribed(Server &server, const std::string &after_id = "")
{
    Client client = Client::open(server.port());
    client.send_text("+" + after_id);
    return client;
}

// So many texts, with the answer to "+" first: when subscribing has taken long, history comes
// before that is sent.
std::vector<std::string> answer_and(size_t count, Client &client)
{
    std::vector<std::string> texts;
    while (texts.size() < count + 1)
        texts.push_back(client.receive_text());
    std::stable_partition(texts.begin(), texts.end(),
                          [](const auto &text) { return text == "ok"; });
    return texts;
}

int publish_numbered(libwebsock_context *context, int number)
{
    const std::string text = std::to_string(number);
    return publish(context, {.text = text, .id = text});
}

// A backplane that does nothing by itself: the test delivers.
struct Recording {
    std::mutex mutex;
    std::vector<std::string> calls;
    std::atomic<unsigned long long> following{0}; // the newest

    void add(const std::string &call)
    {
        const std::lock_guard lock(mutex);
        calls.push_back(call);
    }
    bool has(const std::string &call)
    {
        const std::lock_guard lock(mutex);
        return std::count(calls.begin(), calls.end(), call) > 0;
    }
    libwebsock_backplane table()
    {
        libwebsock_backplane table{};
        table.size = sizeof table;
        table.data = this;
        table.timeout_ms = 10'000;
        table.publish = [](void *data, const libwebsock_publication *what,
                           const libwebsock_topic_options *, unsigned long long) {
            of(data).add(std::string("publish ") + what->topic);
            return std::string(what->topic) == "full" ? EAGAIN : 0;
        };
        table.follow = [](void *data, const char *topic, const libwebsock_topic_options *,
                          unsigned long long number) {
            of(data).following = number;
            of(data).add(std::string("follow ") + topic);
            return std::string(topic) == "refused" ? ECONNREFUSED : 0;
        };
        table.unfollow = [](void *data, const char *topic) {
            of(data).add(std::string("unfollow ") + topic);
        };
        table.start = [](void *data, libwebsock_context *) { return of(data).add("start"), 0; };
        table.stop = [](void *data) { of(data).add("stop"); };
        table.free_data = [](void *data) { of(data).add("free"); };
        return table;
    }
    static Recording &of(void *data) { return *static_cast<Recording *>(data); }
};

struct Kept {
    unsigned long long epoch = 7;
    unsigned long long offset = 0;
    const char *text = nullptr; // nullptr: up to here
    unsigned long long follows = 0;
    unsigned long long following = 0;
};

// The errno value; next is set.
int deliver(libwebsock_context *context, const Kept &kept, unsigned long long &next)
{
    libwebsock_publication what{};
    what.size = sizeof what;
    what.topic = "room";
    what.payload = kept.text;
    what.payload_len = kept.text ? std::string(kept.text).size() : 0;
    libwebsock_delivery delivery{};
    delivery.size = sizeof delivery;
    delivery.topic = "room";
    delivery.epoch = kept.epoch;
    delivery.offset = kept.offset;
    delivery.follows = kept.follows;
    delivery.following = kept.following;
    delivery.publication = kept.text ? &what : nullptr;
    return error_of(libwebsock_deliver(context, &delivery, &next));
}

Behaviour recorded(Recording &recording)
{
    return {.settings =
                [&](auto *context) {
                    const libwebsock_backplane table = recording.table();
                    CHECK(libwebsock_use_backplane(context, &table) == 0);
                },
            .onmessage = serve};
}

} // namespace

TEST_CASE("what is published on one server comes to the subscribers of all, in one order")
{
    constexpr int kMessages = 300;
    MemoryBackplane backplane;
    Server one(shared(backplane)), two(shared(backplane));
    std::vector<Client> clients;
    for (Server *server : {&one, &two, &one, &two})
        clients.push_back(subscribed(*server));
    for (Client &client : clients)
        REQUIRE(client.receive_text() == "ok");
    const auto publish_all = [](Server &server, int first) {
        size_t failed = 0;
        for (int i = 0; i < kMessages; ++i)
            failed += publish_numbered(server.context(), first + i) != 0;
        CHECK(failed == 0);
    };
    std::thread other([&] { publish_all(two, kMessages); });
    publish_all(one, 0);
    other.join();
    std::vector<std::string> order;
    for (int i = 0; i < 2 * kMessages; ++i)
        order.push_back(clients.front().receive_text());
    for (size_t i = 1; i < clients.size(); ++i) {
        size_t wrong = 0;
        for (const std::string &text : order)
            wrong += clients[i].receive_text() != text;
        CHECK(wrong == 0);
    }
    std::sort(order.begin(), order.end());
    CHECK(std::unique(order.begin(), order.end()) == order.end());
}

TEST_CASE("history and resume work on a server that has never seen the topic")
{
    MemoryBackplane backplane;
    Server one(shared(backplane)), two(shared(backplane)), three(shared(backplane));
    for (int i = 1; i <= 5; ++i)
        REQUIRE(publish_numbered(one.context(), i) == 0);
    Client newcomer = subscribed(two);
    CHECK(answer_and(5, newcomer) == std::vector<std::string>{"ok", "1", "2", "3", "4", "5"});
    Client back = subscribed(three, "3");
    CHECK(answer_and(2, back) == std::vector<std::string>{"ok", "4", "5"});
    Client lost = subscribed(three, "from long ago");
    CHECK(lost.receive_text() == std::to_string(ENOENT));
}

TEST_CASE("a client that is ahead of its new server gets what comes after its last message")
{
    MemoryBackplane backplane;
    Server one(shared(backplane)), two(shared(backplane));
    Client there = subscribed(two);
    REQUIRE(there.receive_text() == "ok");
    backplane.hold_back(true);
    for (int i = 1; i <= 3; ++i)
        REQUIRE(publish_numbered(one.context(), i) == 0);
    Client ahead = subscribed(two, "2");
    CHECK(eventually([&] { return backplane.catching_up() == 1; }));
    backplane.hold_back(false);
    CHECK(answer_and(1, ahead) == std::vector<std::string>{"ok", "3"});
    Client unknown = subscribed(two, "from long ago");
    CHECK(unknown.receive_text() == std::to_string(ENOENT));
}

TEST_CASE("a publisher does not hear itself, and is no other server's client")
{
    MemoryBackplane backplane;
    Server one(shared(backplane)), two(shared(backplane));
    Client speaker = subscribed(one);
    Client namesake = subscribed(two); // the first client of its server, too
    REQUIRE(speaker.receive_text() == "ok");
    REQUIRE(namesake.receive_text() == "ok");
    speaker.send_text("hello");
    CHECK(namesake.receive_text() == "hello");
    namesake.send_text("hello to you");
    CHECK(speaker.receive_text() == "hello to you");
}

TEST_CASE("messages are replaced by their keys on every server")
{
    MemoryBackplane backplane;
    Server one(shared(backplane)), two(shared(backplane));
    for (const char *price : {"1", "2", "3"})
        REQUIRE(publish(one.context(), {.text = price, .key = "price"}) == 0);
    REQUIRE(publish(one.context(), {.text = "other"}) == 0);
    Client client = subscribed(two);
    CHECK(answer_and(2, client) == std::vector<std::string>{"ok", "3", "other"});
}

TEST_CASE("when the log was lost, whoever may have missed some is closed with 1013")
{
    MemoryBackplane backplane;
    Server server(shared(backplane));
    Client client = subscribed(server);
    REQUIRE(client.receive_text() == "ok");
    REQUIRE(publish_numbered(server.context(), 1) == 0);
    CHECK(client.receive_text() == "1");
    backplane.lose_logs();
    REQUIRE(publish_numbered(server.context(), 2) == 0);
    CHECK(client.receive_close().code == WS_CLOSE_TRY_AGAIN_LATER);
    Client next = subscribed(server);
    CHECK(answer_and(1, next) == std::vector<std::string>{"ok", "2"});
}

TEST_CASE("what has left the backplane's log before it came counts as missed")
{
    MemoryBackplane backplane;
    Behaviour behaviour = shared(backplane);
    behaviour.settings = [&](auto *context) {
        CHECK(backplane.serve(context) == 0);
        CHECK(configure(context, "", {.messages = 3, .when_behind = LIBWEBSOCK_BEHIND_SKIP}) == 0);
        context->onmissed = [](libwebsock_client_state *client, const char *topic,
                               unsigned long long messages) {
            const std::string text = std::string(topic) + " " + std::to_string(messages);
            return libwebsock_send_text(client, text.c_str());
        };
    };
    Server server(std::move(behaviour));
    Client client = subscribed(server);
    REQUIRE(client.receive_text() == "ok");
    backplane.hold_back(true);
    for (int i = 1; i <= 10; ++i)
        REQUIRE(publish_numbered(server.context(), i) == 0);
    backplane.hold_back(false);
    std::vector<std::string> got;
    for (int i = 0; i < 4; ++i)
        got.push_back(client.receive_text());
    std::sort(got.begin(), got.end());
    CHECK(got == std::vector<std::string>{"10", "8", "9", "room 7"});
}

TEST_CASE("a message that comes too early is refused until those before it have come")
{
    Recording recording;
    Server server(recorded(recording));
    Client client = subscribed(server);
    unsigned long long next = 0;
    CHECK(eventually([&] { return recording.has("follow room"); }));
    CHECK(deliver(server.context(), {.offset = 41, .text = "41"}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 41}, next) == 0); // complete
    CHECK(answer_and(1, client) == std::vector<std::string>{"ok", "41"});
    CHECK(deliver(server.context(), {.offset = 44, .text = "44"}, next) == ERANGE);
    CHECK(next == 42);
    CHECK(deliver(server.context(), {.offset = 41, .text = "41 again"}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 42, .text = "42"}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 44, .text = "44", .follows = 42}, next) == 0);
    CHECK(next == 45);
    CHECK(client.receive_text() == "42");
    CHECK(client.receive_text() == "44");
    CHECK(deliver(server.context(), {.epoch = 8, .offset = 2, .text = "2"}, next) == ERANGE);
    CHECK(next == 1);
    CHECK(client.receive_close().code == WS_CLOSE_TRY_AGAIN_LATER);
}

// The last subscriber leaves while a delivery waits, because onpublished is behind.
TEST_CASE("what is delivered while the last subscriber leaves is kept by nobody")
{
    static Gate *told;
    Gate gate;
    told = &gate;
    Recording recording;
    Behaviour behaviour = recorded(recording);
    const auto settings = behaviour.settings;
    behaviour.settings = [&](auto *context) {
        settings(context);
        context->onpublished = [](libwebsock_context *, const libwebsock_publication *) {
            CHECK(told->wait());
        };
    };
    Server server(std::move(behaviour));
    Client client = subscribed(server);
    unsigned long long next = 0;
    CHECK(eventually([&] { return recording.has("follow room"); }));
    CHECK(deliver(server.context(), {.offset = 0}, next) == 0);
    CHECK(client.receive_text() == "ok");
    const std::string large(64 << 10, 'x');
    auto delivering = std::async(std::launch::async, [&] {
        unsigned long long at = 1;
        while (deliver(server.context(), {.offset = at, .text = large.c_str()}, at) == 0) {
        }
        return errno;
    });
    // One is being told, 256 are more than may wait, and the next delivery waits.
    libwebsock_topic_statistics figures{};
    figures.size = sizeof figures;
    CHECK(eventually([&] {
        return libwebsock_topic_stats(server.context(), "room", &figures) == 0 &&
               figures.offset == 257;
    }));
    client.reset();
    CHECK(eventually([&] { return recording.has("unfollow room"); }));
    gate.open();
    CHECK(delivering.get() == ENOENT);
    CHECK(server.stats().topic_bytes == 0);
}

TEST_CASE("a message that there is no room for is lost in its place")
{
    Recording recording;
    Behaviour behaviour = recorded(recording);
    const auto settings = behaviour.settings;
    behaviour.settings = [&](auto *context) {
        settings(context);
        context->max_topic_bytes = 10'000;
    };
    Server server(std::move(behaviour));
    Client client = subscribed(server);
    const std::string large(20'000, 'x');
    unsigned long long next = 0;
    CHECK(eventually([&] { return recording.has("follow room"); }));
    CHECK(deliver(server.context(), {.offset = 40, .text = large.c_str()}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 41, .text = "41"}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 41}, next) == 0);
    CHECK(answer_and(1, client) == std::vector<std::string>{"ok", "41"});
    CHECK(deliver(server.context(), {.offset = 44, .text = large.c_str()}, next) == ERANGE);
    CHECK(next == 42);
    CHECK(deliver(server.context(), {.offset = 42, .text = "42"}, next) == 0);
    CHECK(client.receive_text() == "42");
    CHECK(deliver(server.context(), {.offset = 43, .text = large.c_str()}, next) == 0);
    CHECK(next == 44);
    CHECK(client.receive_close().code == WS_CLOSE_TRY_AGAIN_LATER);
}

TEST_CASE("a stop does not wait for a topic whose log does not come")
{
    Recording recording;
    Server server(recorded(recording));
    Client client = subscribed(server);
    CHECK(eventually([&] { return recording.has("follow room"); }));
    CHECK(libwebsock_stop(server.context()) == 0);
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    client.send_close(WS_CLOSE_GOING_AWAY);
    CHECK(server.join() == 0);
    CHECK(recording.calls.back() == "stop");
}

TEST_CASE("a thread may wait for a topic when its client has gone, and the server")
{
    Recording recording;
    Behaviour behaviour = recorded(recording);
    behaviour.keep_handles = true;
    Server server(std::move(behaviour));
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    auto waiting =
        std::async(std::launch::async, [&] { return error_of(subscribe(handle, "room")); });
    CHECK(eventually([&] { return recording.has("follow room"); }));
    client.reset();
    server.free();
    CHECK(waiting.get() == ENOTCONN);
    CHECK(recording.calls ==
          std::vector<std::string>{"start", "follow room", "unfollow room", "stop", "free"});
}

TEST_CASE("a backplane is told of the first subscriber and the last, of the begin and the end")
{
    Recording recording;
    {
        Server server(recorded(recording));
        CHECK(eventually([&] { return recording.has("start"); }));
        Client client = subscribed(server);
        unsigned long long next = 0;
        CHECK(eventually([&] { return recording.has("follow room"); }));
        CHECK(deliver(server.context(), {.offset = 0}, next) == 0);
        CHECK(client.receive_text() == "ok");
        client.reset();
        CHECK(eventually([&] { return recording.has("unfollow room"); }));
        CHECK(deliver(server.context(), {.offset = 1, .text = "to nobody"}, next) == ENOENT);
        CHECK(publish(server.context(), {.text = "elsewhere"}) == 0);
        CHECK(recording.has("publish room"));
        CHECK(error_of(publish(server.context(), {.topic = "full", .text = "x"})) == EAGAIN);
        CHECK_FALSE(recording.has("stop"));
    }
    CHECK(recording.calls.back() == "free");
    CHECK(*(recording.calls.rbegin() + 1) == "stop");
}

TEST_CASE("what comes late does not enter a topic that is followed anew")
{
    Recording recording;
    Server server(recorded(recording));
    unsigned long long next = 0;
    Client first = subscribed(server);
    CHECK(eventually([&] { return recording.following != 0; }));
    const unsigned long long before = recording.following;
    CHECK(deliver(server.context(), {.offset = 7, .following = before}, next) == 0);
    CHECK(first.receive_text() == "ok");
    first.reset();
    CHECK(eventually([&] { return recording.has("unfollow room"); }));
    Client second = subscribed(server);
    CHECK(eventually([&] { return recording.following != before; }));
    const unsigned long long now = recording.following;
    const Kept late{.offset = 8, .text = "8", .following = before};
    CHECK(deliver(server.context(), late, next) == ENOENT);
    CHECK(deliver(server.context(), {.offset = 6, .text = "6", .following = now}, next) == 0);
    CHECK(deliver(server.context(), {.offset = 6, .following = now}, next) == 0);
    const std::string one = second.receive_text(), other = second.receive_text();
    CHECK((one == "6" ? other : one) == "ok");
    CHECK((one == "6" || other == "6"));
}

TEST_CASE("a backplane that is not one is refused, and a second one")
{
    Recording recording;
    Server server({.start = false});
    libwebsock_backplane table = recording.table();
    CHECK(error_of(libwebsock_use_backplane(nullptr, &table)) == EINVAL);
    CHECK(error_of(libwebsock_use_backplane(server.context(), nullptr)) == EINVAL);
    table.publish = nullptr;
    CHECK(error_of(libwebsock_use_backplane(server.context(), &table)) == EINVAL);
    table = recording.table();
    table.size = 3;
    CHECK(error_of(libwebsock_use_backplane(server.context(), &table)) == EINVAL);
    table = recording.table();
    CHECK(libwebsock_use_backplane(server.context(), &table) == 0);
    CHECK(error_of(libwebsock_use_backplane(server.context(), &table)) == EBUSY);
    unsigned long long next = 0;
    CHECK(deliver(server.context(), {.epoch = 0, .offset = 1, .text = "x"}, next) == EINVAL);
    CHECK(deliver(server.context(), {.offset = 0, .text = "x"}, next) == EINVAL);
    CHECK(deliver(server.context(), {.offset = 5, .text = "x", .follows = 5}, next) == EINVAL);
    CHECK(deliver(server.context(), {.offset = 5, .text = "x"}, next) == ENOENT);
}
