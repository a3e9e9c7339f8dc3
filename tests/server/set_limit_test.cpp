// set_limit_test.cpp: limits of one client, set in onrequest or onopen, beside others that keep the
// context's.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <functional>
#include <string>
#include <thread>

using namespace test;

namespace {

// A server that sets limits for clients of the path /own, in onrequest or in onopen.
Behaviour limiting(bool in_onopen, std::function<void(libwebsock_client_state *)> set,
                   Behaviour other = {})
{
    const auto set_if_own = [set](libwebsock_client_state *client) {
        if (std::string(libwebsock_client_request(client)->path) == "/own")
            set(client);
    };
    if (in_onopen)
        other.onopen = [set_if_own](Scene &, auto *client) { set_if_own(client); };
    else
        other.onrequest = [set_if_own](Scene &, auto *client, auto *) {
            set_if_own(client);
            return 0;
        };
    return other;
}

void limit(libwebsock_client_state *client, int which, unsigned long long n)
{
    CHECK(error_of(libwebsock_set_limit(client, which, n)) == 0);
}

} // namespace

TEST_CASE("a client may have a smaller limit of its messages than the others")
{
    for (const bool in_onopen : {false, true}) {
        CAPTURE(in_onopen);
        Server server(limiting(in_onopen,
                               [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_MESSAGE, 100); },
                               {.onmessage = echo}));
        Client other = Client::open(server.port());
        Client own = Client::open(server.port(), "/own");
        if (in_onopen)
            server.events().wait(Kind::open, 2);
        own.send_text("first"); // its echo says that onopen has returned
        CHECK(own.receive_text() == "first");
        other.send_text(std::string(101, 'x'));
        CHECK(other.receive_text() == std::string(101, 'x'));
        own.send_text(std::string(100, 'x'));
        CHECK(own.receive_text() == std::string(100, 'x'));
        own.send_frame(false, WS_OPCODE_TEXT, std::string(60, 'x'));
        own.send_frame(true, WS_OPCODE_CONTINUE, std::string(41, 'x'));
        CHECK(own.receive_close().code == 1009);
    }
}

TEST_CASE("a limit that comes down in the middle of a message ends it")
{
    static std::atomic<bool> may_set;
    may_set = false;
    Server server({.onopen = [](Scene &scene, auto *client) {
        scene.gate.wait();
        limit(client, LIBWEBSOCK_LIMIT_MESSAGE, 10);
    }});
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, std::string(60, 'x'));
    server.gate().open();
    client.send_frame(true, WS_OPCODE_CONTINUE, "y");
    // Had it come whole before onopen returned, it would have got past the old limit.
    const Event closed = [&] {
        for (;;) {
            client.send_frame(false, WS_OPCODE_TEXT, std::string(60, 'x'));
            client.send_frame(true, WS_OPCODE_CONTINUE, "y");
            if (server.events().count(Kind::close) > 0 || client.has_input())
                break;
            std::this_thread::yield();
        }
        CHECK(client.receive_close().code == 1009);
        (void)client.drain();
        return server.events().wait(Kind::close);
    }();
    CHECK(closed.code == WS_CLOSE_DIRTY);
}

TEST_CASE("a client may have a larger limit of its frames and messages than the others")
{
    constexpr size_t kMiB = 1 << 20;
    Server server(limiting(false,
                           [](auto *client) {
                               limit(client, LIBWEBSOCK_LIMIT_FRAME, kMiB);
                               limit(client, LIBWEBSOCK_LIMIT_MESSAGE, kMiB);
                               limit(client, LIBWEBSOCK_LIMIT_QUEUED, 4 * kMiB);
                           },
                           {.settings =
                                [](auto *context) {
                                    context->max_frame_payload = 1000;
                                    context->max_message_payload = 1000;
                                },
                            .onmessage = echo}));
    Client own = Client::open(server.port(), "/own");
    own.send_text(std::string(kMiB, 'x'));
    CHECK(own.receive_text() == std::string(kMiB, 'x'));
    Client other = Client::open(server.port());
    other.send_text(std::string(1001, 'x'));
    CHECK(other.receive_close().code == 1009);
}

TEST_CASE("a client's own limit holds for what it inflates")
{
    Server server(
        limiting(false, [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_MESSAGE, 1000); },
                 {.settings = [](auto *context) { context->compression = 1; }, .onmessage = echo}));
    for (const bool is_own : {false, true}) {
        Client client(server.port(), {.extensions = "permessage-deflate"});
        client.handshake(is_own ? "/own" : "/");
        client.send_compressed(WS_OPCODE_TEXT, std::string(1001, 'x'));
        if (is_own)
            CHECK(client.receive_close().code == 1009);
        else
            CHECK(client.receive_text() == std::string(1001, 'x'));
    }
}

TEST_CASE("a client may have a limit of its own of what is queued for it")
{
    Server server(limiting(true,
                           [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_QUEUED, 50'000); },
                           {.keep_handles = true}));
    Client own(server.port(), {.receive_buffer = 4096});
    own.handshake("/own");
    own.send_text("onopen has returned when this is delivered");
    server.events().wait(Kind::message);
    libwebsock_client_state *const handle = server.handle();
    const std::string text(10'000, 'x');
    int error = 0;
    while ((error = error_of(libwebsock_queue_text(handle, text.data(), text.size()))) == 0) {
    }
    CHECK(error == ENOBUFS);
    CHECK(libwebsock_queued_bytes(handle) <= 50'000);
}

TEST_CASE("a client may be dropped sooner than the others when it is silent")
{
    for (const bool in_onopen : {false, true}) {
        CAPTURE(in_onopen);
        Server server(
            limiting(in_onopen, [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_IDLE_MS, 60); }));
        Client other = Client::open(server.port());
        Client own = Client::open(server.port(), "/own");
        CHECK(server.events().wait(Kind::close).text == "silent for 60 ms");
        other.send_close(1000);
        CHECK(other.receive_close().code == 1000);
    }
}

TEST_CASE("with a concurrency of 4, the callbacks of 8 messages run in two rounds")
{
    for (const bool in_onopen : {false, true}) {
        CAPTURE(in_onopen);
        static Barrier *first, *second;
        static std::atomic<int> begun;
        static std::atomic<bool> all_met;
        begun = 0;
        all_met = true;
        Barrier four(5), other_four(4); // the test meets the first four
        first = &four;
        second = &other_four;
        Server server(limiting(in_onopen,
                               [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_CONCURRENCY, 4); },
                               {.onmessage = [](Scene &, auto *, auto *) {
                                   Barrier &barrier = begun++ < 4 ? *first : *second;
                                   if (!barrier.arrive_and_wait())
                                       all_met = false;
                               }}));
        Client own = Client::open(server.port(), "/own");
        for (int i = 0; i < 8; ++i)
            own.send_text("x");
        CHECK(eventually([] { return begun >= 4; }));
        CHECK(eventually([&] { return server.stats().messages_in == 8; }));
        CHECK(begun == 4); // the others wait for a place
        CHECK(four.arrive_and_wait());
        CHECK(eventually([] { return begun == 8; }));
        own.send_close(1000);
        CHECK(own.receive_close().code == 1000);
        server.events().wait(Kind::close);
        CHECK(all_met);
    }
}

TEST_CASE("with a concurrency of 1, a client's messages run in order although the context's do not")
{
    static std::atomic<int> running, most;
    running = most = 0;
    Server server(limiting(true,
                           [](auto *client) { limit(client, LIBWEBSOCK_LIMIT_CONCURRENCY, 1); },
                           {.settings = [](auto *context) { context->concurrent_events = 8; },
                            .onmessage =
                                [](Scene &scene, auto *client, auto *msg) {
                                    most = std::max(most.load(), ++running);
                                    if (msg->payload[0] == '0')
                                        scene.gate.wait();
                                    libwebsock_send_text(client, msg->payload);
                                    --running;
                                }}));
    Client own = Client::open(server.port(), "/own");
    for (int i = 0; i < 10; ++i)
        own.send_text(std::to_string(i));
    CHECK(eventually([&] { return server.stats().messages_in == 10; }));
    server.gate().open();
    for (int i = 0; i < 10; ++i)
        CHECK(own.receive_text() == std::to_string(i));
    CHECK(most == 1);
}

TEST_CASE("limits can be set in onrequest and onopen alone")
{
    static std::atomic<int> in_onmessage;
    Server server({.onmessage =
                       [](Scene &, auto *client, auto *) {
                           in_onmessage =
                               error_of(libwebsock_set_limit(client, LIBWEBSOCK_LIMIT_MESSAGE, 1));
                           libwebsock_send_text(client, "done");
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("x");
    CHECK(client.receive_text() == "done");
    CHECK(in_onmessage == EPERM);
    CHECK(error_of(libwebsock_set_limit(server.handle(), LIBWEBSOCK_LIMIT_MESSAGE, 1)) == EPERM);
}

TEST_CASE("limits that the settings could not have are refused")
{
    static std::atomic<int> checked;
    checked = 0;
    Server server({.onopen = [](Scene &, auto *client) {
        const auto error = [client](int which, unsigned long long n) {
            return error_of(libwebsock_set_limit(client, which, n));
        };
        CHECK(error(LIBWEBSOCK_LIMIT_MESSAGE, 0) == EINVAL);
        CHECK(error(LIBWEBSOCK_LIMIT_MESSAGE, ULLONG_MAX) == EINVAL);
        CHECK(error(LIBWEBSOCK_LIMIT_FRAME, 0) == EINVAL);
        CHECK(error(LIBWEBSOCK_LIMIT_QUEUED, 0) == EINVAL);
        CHECK(error(LIBWEBSOCK_LIMIT_IDLE_MS, 1ULL << 31) == EINVAL);
        CHECK(error(LIBWEBSOCK_LIMIT_IDLE_MS, 0) == 0);
        CHECK(error(LIBWEBSOCK_LIMIT_CONCURRENCY, 0) == EINVAL);
        CHECK(error(0, 1) == EINVAL);
        CHECK(error(6, 1) == EINVAL);
        checked = 1;
    }});
    Client client = Client::open(server.port());
    CHECK(eventually([] { return checked == 1; }));
    CHECK(error_of(libwebsock_set_limit(nullptr, LIBWEBSOCK_LIMIT_MESSAGE, 1)) == EINVAL);
}

TEST_CASE("a client that reads late ends as others do after its onopen has set a concurrency")
{
    const std::string large(8 << 20, 'x'); // more than the system takes
    const auto send_large = [&](libwebsock_client_state *client) {
        libwebsock_send_binary(client, large.data(), large.size());
    };
    Server server({.onopen =
                       [&](Scene &, auto *client) {
                           limit(client, LIBWEBSOCK_LIMIT_CONCURRENCY, 4);
                           send_large(client); // which suspends the batch
                       },
                   .onmessage = [&](Scene &, auto *client, auto *) { send_large(client); }});
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    for (int i = 0; i < 6; ++i)
        client.send_text("x");
    CHECK(client.receive_frame().payload.size() == large.size());
    CHECK(eventually([&] { return client.has_input(); }));
    client.reset();
    server.events().wait(Kind::close);
}
