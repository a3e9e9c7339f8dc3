// post_test.cpp: what is posted to a client: when it runs, and what becomes of it at the end.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

using Job = std::function<void(libwebsock_client_state *)>;

void run_job(libwebsock_client_state *client, void *arg) { (*static_cast<Job *>(arg))(client); }
void free_job(void *arg) { delete static_cast<Job *>(arg); }

// Posts the job, which is deleted with its turn. 0, or errno.
int post(libwebsock_client_state *client, Job job)
{
    auto owned = std::make_unique<Job>(std::move(job));
    const int error = error_of(libwebsock_post_with(client, run_job, owned.get(), free_job));
    if (error == 0)
        (void)owned.release();
    return error;
}

Job say(const char *text)
{
    return [text](libwebsock_client_state *client) { libwebsock_send_text(client, text); };
}

// Counts how often it is freed.
struct Counted {
    std::atomic<int> runs{0};
    std::atomic<int> frees{0};
};
void run_counted(libwebsock_client_state *, void *arg) { ++static_cast<Counted *>(arg)->runs; }
void free_counted(void *arg) { ++static_cast<Counted *>(arg)->frees; }

} // namespace

TEST_CASE("what is posted runs on a worker, in the order of the posts")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    std::promise<std::thread::id> thread;
    REQUIRE(post(handle, [&](auto *) { thread.set_value(std::this_thread::get_id()); }) == 0);
    const std::thread::id worker = thread.get_future().get();
    CHECK(worker != std::this_thread::get_id());
    CHECK(worker != server.thread());
    REQUIRE(post(handle, say("one")) == 0);
    REQUIRE(post(handle, say("two")) == 0);
    CHECK(client.receive_text() == "one");
    CHECK(client.receive_text() == "two");
}

TEST_CASE("what is posted in a callback runs after it, before messages that come later")
{
    Server server({.onmessage = [](Scene &, auto *client, auto *msg) {
        const std::string text = msg->payload;
        CHECK(post(client, say("posted")) == 0);
        libwebsock_send_text(client, text.c_str());
    }});
    Client client = Client::open(server.port());
    client.send_text("first");
    CHECK(client.receive_text() == "first");
    CHECK(client.receive_text() == "posted");
    client.send_text("second");
    CHECK(client.receive_text() == "second");
    CHECK(client.receive_text() == "posted");
}

TEST_CASE("what is posted waits for the messages that were there before it")
{
    Server server({.onmessage =
                       [](Scene &scene, auto *client, auto *msg) {
                           if (msg->payload[0] == '1')
                               scene.gate.wait();
                           libwebsock_send_text(client, msg->payload);
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    for (const char *text : {"1", "2", "3"})
        client.send_text(text);
    server.events().wait(Kind::message);
    const libwebsock_client_state *waiting = server.handle();
    CHECK(eventually([&] { return server.stats().events_queued == 2; }));
    CHECK(post(server.handle(), say("posted")) == 0);
    client.send_text("4");
    CHECK(eventually([&] { return server.stats().events_queued == 4; }));
    CHECK(libwebsock_is_open(waiting) == 1);
    server.gate().open();
    for (const char *text : {"1", "2", "3", "posted", "4"})
        CHECK(client.receive_text() == text);
}

TEST_CASE("with concurrent_events, what is posted runs alone")
{
    static std::atomic<int> running;
    static std::atomic<int> seen;
    running = 0;
    seen = -1;
    Server server({.settings = [](auto *context) { context->concurrent_events = 4; },
                   .onmessage =
                       [](Scene &scene, auto *client, auto *) {
                           ++running;
                           scene.gate.wait();
                           libwebsock_send_text(client, "done");
                           --running;
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    for (int i = 0; i < 4; ++i)
        client.send_text("x");
    CHECK(eventually([&] { return running == 4; }));
    REQUIRE(post(server.handle(), [&](auto *handle) {
                seen = running.load();
                libwebsock_send_text(handle, "posted");
            }) == 0);
    for (int i = 0; i < 4; ++i)
        client.send_text("x");
    CHECK(eventually([&] { return server.stats().events_queued >= 4; }));
    CHECK(running == 4);
    server.gate().open();
    for (int i = 0; i < 4; ++i)
        CHECK(client.receive_text() == "done");
    CHECK(client.receive_text() == "posted");
    CHECK(seen == 0);
    for (int i = 0; i < 4; ++i)
        CHECK(client.receive_text() == "done");
}

TEST_CASE("a post that posts itself again and again holds up neither messages nor the end")
{
    static std::atomic<uint64_t> rounds;
    rounds = 0;
    static void (*again)(libwebsock_client_state *, void *) = [](auto *client, void *) {
        ++rounds;
        (void)libwebsock_post(client, again, nullptr);
    };
    Server server({.onmessage = echo, .keep_handles = true});
    Client client = Client::open(server.port());
    REQUIRE(libwebsock_post(server.handle(), again, nullptr) == 0);
    for (int i = 0; i < 10; ++i) {
        client.send_text("message");
        CHECK(client.receive_text() == "message");
    }
    CHECK(eventually([&] { return rounds > 100; }));
    client.send_close(1000);
    CHECK(client.receive_close().code == 1000);
    (void)client.drain();
    server.events().wait(Kind::close);
    const uint64_t at_close = rounds;
    CHECK(server.stop_and_join() == 0);
    CHECK(rounds == at_close);
}

TEST_CASE("a session gets messages while posts run beside it")
{
    static std::promise<void> posted;
    posted = {};
    Server server({.keep_handles = true, .onsession = [](Scene &, auto *client) {
                       libwebsock_message msg{};
                       while (libwebsock_receive(client, &msg, -1) == 1)
                           libwebsock_send_text(client, msg.payload);
                   }});
    Client client = Client::open(server.port());
    client.send_text("a");
    CHECK(client.receive_text() == "a");
    REQUIRE(post(server.handle(), say("from a post")) == 0);
    CHECK(client.receive_text() == "from a post");
    client.send_text("b");
    CHECK(client.receive_text() == "b");
}

TEST_CASE("what was posted before the end of a connection runs before onclose")
{
    static std::atomic<bool> ran, closed_first;
    ran = closed_first = false;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .onclose = [](Scene &, auto *) { closed_first = !ran; },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    REQUIRE(post(server.handle(), [](auto *handle) {
                ran = true;
                CHECK(libwebsock_is_open(handle) == 0);
            }) == 0);
    client.reset();
    CHECK(eventually([&] { return libwebsock_is_open(server.handle()) == 0; }));
    server.gate().open();
    server.events().wait(Kind::close);
    CHECK(ran);
    CHECK_FALSE(closed_first);
}

TEST_CASE("what was posted to a client that is cut off is freed, and not run")
{
    Counted counted;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .onclose = [&](Scene &, auto *) { CHECK(counted.frees == 3); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    for (int i = 0; i < 3; ++i)
        REQUIRE(libwebsock_post_with(server.handle(), run_counted, &counted, free_counted) == 0);
    CHECK(libwebsock_abort(server.handle(), "enough") == 0);
    server.gate().open();
    CHECK(server.events().wait(Kind::close).text == "enough");
    CHECK(counted.runs == 0);
    CHECK(counted.frees == 3);
}

TEST_CASE("an argument is freed once its function has returned")
{
    Counted counted;
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    REQUIRE(libwebsock_post_with(server.handle(), run_counted, &counted, free_counted) == 0);
    CHECK(eventually([&] { return counted.frees == 1; }));
    CHECK(counted.runs == 1);
}

TEST_CASE("a post is refused, and its argument stays the caller's, where it cannot run")
{
    Counted counted;
    static std::atomic<int> in_onrequest, in_onclose;
    Server server({.onclose =
                       [](Scene &, auto *client) {
                           in_onclose = error_of(libwebsock_post(client, run_counted, nullptr));
                       },
                   .onrequest =
                       [](Scene &, auto *client, auto *) {
                           in_onrequest = error_of(libwebsock_post(client, run_counted, nullptr));
                           return 0;
                       },
                   .keep_handles = true});
    {
        Client client = Client::open(server.port());
        CHECK(in_onrequest == ENOTCONN);
        CHECK(error_of(libwebsock_post(nullptr, run_counted, nullptr)) == EINVAL);
        CHECK(error_of(libwebsock_post(server.handle(), nullptr, nullptr)) == EINVAL);
    }
    server.events().wait(Kind::close);
    CHECK(eventually([] { return in_onclose == ENOTCONN; }));
    const int result = libwebsock_post_with(server.handle(), run_counted, &counted, free_counted);
    CHECK(error_of(result) == ENOTCONN);
    CHECK(counted.frees == 0);
}

TEST_CASE("no more than 65536 posts of a client wait")
{
    Counted counted;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    libwebsock_client_state *handle = server.handle();
    for (int i = 0; i < 65536; ++i)
        REQUIRE(libwebsock_post_with(handle, run_counted, &counted, free_counted) == 0);
    CHECK(error_of(libwebsock_post_with(handle, run_counted, &counted, free_counted)) == ENOBUFS);
    CHECK(counted.frees == 0);
    server.gate().open();
    CHECK(eventually([&] { return counted.frees == 65536; }));
    CHECK(counted.runs == 65536);
}

TEST_CASE("an exception out of a post closes with 1011, and is logged")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    REQUIRE(post(server.handle(), [](auto *) { throw std::runtime_error("posted trouble"); }) == 0);
    CHECK(client.receive_close().code == 1011);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"threw an exception", "posted trouble"}));
}

TEST_CASE("posts from many threads all run, each thread's in order, one at a time")
{
    constexpr int kThreads = 8, kPosts = 500;
    static std::atomic<int> running, overlaps, out_of_order, done;
    running = overlaps = out_of_order = done = 0;
    Server server({.onmessage = echo, .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    std::vector<int> next(kThreads, 0); // posts run one at a time, so they may share it
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kPosts; ++i) {
                const int error = post(handle, [&, t, i](auto *) {
                    overlaps += running++ != 0;
                    out_of_order += next[static_cast<size_t>(t)]++ != i;
                    --running;
                    ++done;
                });
                if (error != 0)
                    ++overlaps;
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        client.send_text("x");
        CHECK(client.receive_text() == "x");
    }
    for (std::thread &thread : threads)
        thread.join();
    CHECK(eventually([&] { return done == kThreads * kPosts; }));
    CHECK(overlaps == 0);
    CHECK(out_of_order == 0);
}
