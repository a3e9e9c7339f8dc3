// stop_test.cpp: the end of a server: who may stop it, what clients and callbacks may do until
// then, and what becomes of handles that are kept.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <unistd.h>

using namespace test;

namespace {

libwebsock_context *context_of_handler = nullptr;

void stop_from_handler(int) { libwebsock_stop(context_of_handler); }

bool is_handled_by(int signal, void (*handler)(int))
{
    struct sigaction current;
    REQUIRE(::sigaction(signal, nullptr, &current) == 0);
    return current.sa_handler == handler;
}

} // namespace

TEST_CASE("a callback can stop the server")
{
    Server server(
        {.onmessage = [](Scene &, auto *client, auto *) { libwebsock_stop(client->ctx); }});
    Client client = Client::open(server.port());
    client.send_text("stop");
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    client.send_close(WS_CLOSE_GOING_AWAY);
    client.expect_eof();
    CHECK(server.join() == 0);
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_GOING_AWAY);
}

TEST_CASE("stopping twice, or long after the end, is no error")
{
    Server server;
    CHECK(libwebsock_stop(server.context()) == 0);
    CHECK(libwebsock_stop(server.context()) == 0);
    CHECK(server.join() == 0);
    CHECK(libwebsock_stop(server.context()) == 0);
}

TEST_CASE("a signal handler can stop the server")
{
    Server server;
    Client client = Client::open(server.port());
    server.events().wait(Kind::open);
    context_of_handler = server.context();
    struct sigaction stop = {};
    stop.sa_handler = stop_from_handler;
    struct sigaction old;
    REQUIRE(::sigaction(SIGUSR1, &stop, &old) == 0);
    REQUIRE(::kill(::getpid(), SIGUSR1) == 0);
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    client.send_close(WS_CLOSE_GOING_AWAY);
    client.expect_eof();
    CHECK(server.join() == 0);
    REQUIRE(::sigaction(SIGUSR1, &old, nullptr) == 0);
}

TEST_CASE("SIGINT and SIGTERM stop the server, and their disposition is restored")
{
    for (int signal : {SIGINT, SIGTERM}) {
        // The library leaves other handlers, such as doctest's, in place: start from the
        // default.
        struct sigaction before;
        struct sigaction by_default = {};
        by_default.sa_handler = SIG_DFL;
        REQUIRE(::sigaction(signal, &by_default, &before) == 0);

        Server server({.settings = [](auto *context) { context->handle_signals = 1; }});
        Client client = Client::open(server.port());
        server.events().wait(Kind::open);
        // otherwise the next line would end the tests
        REQUIRE_FALSE(is_handled_by(signal, SIG_DFL));
        REQUIRE(::kill(::getpid(), signal) == 0);
        CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
        client.send_close(WS_CLOSE_GOING_AWAY);
        client.expect_eof();
        CHECK(server.join() == 0);
        CHECK(is_handled_by(signal, SIG_DFL));
        REQUIRE(::sigaction(signal, &before, nullptr) == 0);
    }
}

TEST_CASE("a disposition set by the user, or handle_signals 0, leaves signals alone")
{
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before;
    REQUIRE(::sigaction(SIGTERM, &ignore, &before) == 0);
    {
        Server server({.settings = [](auto *context) { context->handle_signals = 1; }});
        Client::open(server.port());
        CHECK(is_handled_by(SIGTERM, SIG_IGN));
    }
    CHECK(is_handled_by(SIGTERM, SIG_IGN));
    ignore.sa_handler = SIG_DFL;
    REQUIRE(::sigaction(SIGTERM, &ignore, nullptr) == 0);
    {
        Server server; // the fixture sets handle_signals 0
        Client::open(server.port());
        CHECK(is_handled_by(SIGTERM, SIG_DFL));
    }
    REQUIRE(::sigaction(SIGTERM, &before, nullptr) == 0);
}

TEST_CASE("stop tells a hundred clients 1001 and runs what is queued")
{
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    std::vector<Client> clients;
    for (int i = 0; i < 100; i++)
        clients.push_back(Client::open(server.port()));
    for (int i = 0; i < 10; i++)
        clients[0].send_text(std::to_string(i));
    clients[0].send_frame(true, WS_OPCODE_PING, "read so far?");
    CHECK(clients[0].receive_frame().opcode == WS_OPCODE_PONG);
    server.events().wait(Kind::open, 100);

    CHECK(libwebsock_stop(server.context()) == 0);
    for (Client &client : clients)
        CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    for (Client &client : clients) {
        client.send_close(WS_CLOSE_GOING_AWAY);
        client.expect_eof();
    }
    server.gate().open();
    CHECK(server.join() == 0);
    std::vector<Event> messages = server.events().all(Kind::message);
    REQUIRE(messages.size() == 10);
    CHECK(messages.back().text == "9");
    CHECK(server.events().count(Kind::close) == 100);
}

TEST_CASE("a client that has its 101 is told 1001, however soon the stop follows")
{
    for (int i = 0; i < 100; i++) {
        Server server;
        Client client = Client::open(server.port());
        libwebsock_stop(server.context());
        CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
        client.send_close(WS_CLOSE_GOING_AWAY);
        client.expect_eof();
        CHECK(server.join() == 0);
        CHECK(server.events().count(Kind::open) == 1);
        CHECK(server.events().count(Kind::close) == 1);
    }
}

TEST_CASE("a stopped server accepts nobody, not even while it drains")
{
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    int port = server.port();
    Client client = Client::open(port);
    client.send_text("stay");
    server.events().wait(Kind::message);
    libwebsock_stop(server.context());
    client.receive_close();
    auto refused = [port] {
        try {
            Client::open(port);
            return false;
        } catch (const std::exception &) {
            return true;
        }
    };
    CHECK(eventually(refused));
    client.reset();
    server.gate().open();
    CHECK(server.join() == 0);
}

TEST_CASE("at the drain deadline messages whose callbacks have not started are dropped")
{
    for (const bool stays : {true, false}) {
        CAPTURE(stays);
        constexpr size_t kMessages = 2000;
        Server server({.settings = [](auto *context) { context->drain_timeout_ms = 100; },
                       .onmessage =
                           [](Scene &, auto *, auto *) {
                               const timespec pause{.tv_sec = 0, .tv_nsec = 5'000'000};
                               nanosleep(&pause, nullptr); // simulates work, not a wait
                           }});
        Client client = Client::open(server.port());
        std::string messages;
        for (size_t i = 0; i < kMessages; i++)
            messages += encode_frame(true, WS_OPCODE_TEXT, "");
        client.send_raw(messages);
        server.events().wait(Kind::message);
        if (!stays)
            client.reset();
        CHECK(server.stop_and_join() == 0); // in time: nothing is stuck
        CHECK(server.events().count(Kind::message) < kMessages);
        CHECK(server.events().count(Kind::close) == 1);
        CHECK(server.events().all().back().kind == Kind::close);
    }
}

TEST_CASE("clients that do not answer are cut off after drain_timeout_ms")
{
    Server server({.settings = [](auto *context) {
        context->drain_timeout_ms = 100;
        context->close_timeout_ms = 20000;
    }});
    Client deaf = Client::open(server.port());
    Client no_handshake(server.port());
    no_handshake.send_raw("GET / HTTP/1.1\r\n");
    server.events().wait(Kind::open);
    CHECK(server.stop_and_join() == 0);
    CHECK(deaf.receive_close().code == WS_CLOSE_GOING_AWAY);
    deaf.drain();
    no_handshake.drain();
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_DIRTY);
}

TEST_CASE("wait does not wait for ever for a callback, and free leaves the context to the callback")
{
    std::atomic<int> error = 0;
    std::atomic<bool> returned = false;
    Server server({.settings = [](auto *context) { context->drain_timeout_ms = 100; },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *) {
                           scene.gate.wait();
                           error = error_of(libwebsock_send_text(client, "late"));
                           returned = true;
                       }});
    Client client = Client::open(server.port());
    client.send_text("take your time");
    server.events().wait(Kind::message);
    CHECK(server.stop_and_join() == ETIMEDOUT);
    CHECK(server.log().has(kAnyLevel, {client.address()}));
    client.drain();
    libwebsock_context *context = server.release_context();
    libwebsock_free(context);
    server.gate().open();
    CHECK(eventually([&] { return returned.load(); }));
    CHECK(error == ENOTCONN);
    CHECK(eventually([&] { return server.events().count(Kind::close) == 1; }));
}

TEST_CASE(
    "a second signal cuts the drain short, and free does not wait again for what wait gave up")
{
    struct sigaction before;
    struct sigaction by_default = {};
    by_default.sa_handler = SIG_DFL;
    REQUIRE(::sigaction(SIGTERM, &by_default, &before) == 0);
    Server server({.settings =
                       [](auto *context) {
                           context->handle_signals = 1;
                           context->drain_timeout_ms = 60'000;
                           context->close_timeout_ms = 60'000;
                       },
                   .onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    client.send_text("take your time");
    server.events().wait(Kind::message);
    const auto begin = Clock::now();
    REQUIRE(::kill(::getpid(), SIGTERM) == 0);
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    REQUIRE(::kill(::getpid(), SIGTERM) == 0);
    CHECK(server.join() == ETIMEDOUT);
    client.drain();
    libwebsock_free(server.release_context());
    CHECK(Clock::now() - begin < std::chrono::seconds(15));
    server.gate().open();
    CHECK(eventually([&] { return server.events().count(Kind::close) == 1; }));
    REQUIRE(::sigaction(SIGTERM, &before, nullptr) == 0);
}

TEST_CASE("calling libwebsock_stop again does not shorten the drain")
{
    Server server({.settings = [](auto *context) { context->close_timeout_ms = 20'000; }});
    Client client = Client::open(server.port());
    libwebsock_stop(server.context());
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    libwebsock_stop(server.context());
    client.send_close(WS_CLOSE_GOING_AWAY);
    client.expect_eof();
    CHECK(server.join() == 0);
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_GOING_AWAY);
}

TEST_CASE("an onlog that is still running has until the drain deadline, too")
{
    static std::atomic<bool> logging;
    logging = false;
    Server server({.settings = [](auto *context) {
        context->onlog = [](libwebsock_context *, int level, const char *) {
            if (level != LIBWEBSOCK_LOG_INFO) // the line about a client that left without a Close
                return;
            logging = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1300)); // stands for a slow disk
        };
    }});
    {
        const Client gone = Client::open(server.port());
    }
    REQUIRE(eventually([] { return logging.load(); }));
    CHECK(server.stop_and_join() == 0);
}

TEST_CASE("free stops and drains a server on which nobody has called wait")
{
    Server server({.onmessage = echo, .start = false});
    server.free();
    CHECK(server.events().all().empty());
}

TEST_CASE("a retained handle outlives the client and the context")
{
    static int mine = 42;
    Server server(
        {.onopen = [](Scene &, auto *client) { client->data = &mine; }, .keep_handles = true});
    std::string address;
    {
        Client client = Client::open(server.port(), "/path?query", "X-Mine: yes\r\n");
        address = client.address();
        server.handle();
    }
    server.events().wait(Kind::close);
    libwebsock_client_state *handle = server.handle();
    CHECK(error_of(libwebsock_send_text(handle, "x")) == ENOTCONN);
    server.free();

    CHECK(error_of(libwebsock_send_text(handle, "x")) == ENOTCONN);
    CHECK(error_of(libwebsock_send_binary(handle, "x", 1)) == ENOTCONN);
    CHECK(error_of(libwebsock_ping(handle)) == ENOTCONN);
    CHECK(error_of(libwebsock_close(handle)) == ENOTCONN);
    CHECK(handle->data == &mine);
    CHECK(handle->close_info->code == WS_CLOSE_DIRTY);
    CHECK(libwebsock_peer(handle) == address);
    const libwebsock_request *request = libwebsock_client_request(handle);
    CHECK(request->path == std::string("/path"));
    CHECK(request->query == std::string("query"));
    CHECK(libwebsock_request_header(request, "x-mine") == std::string("yes"));
}

TEST_CASE("retain and release count, and accept NULL")
{
    CHECK(libwebsock_retain(nullptr) == nullptr);
    libwebsock_release(nullptr);
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    CHECK(libwebsock_retain(handle) == handle);
    libwebsock_release(handle);
    CHECK(libwebsock_send_text(handle, "one reference left") == 0);
    CHECK(client.receive_text() == "one reference left");
}

TEST_CASE("many servers in one process, one after another, leave nothing behind")
{
    for (int i = 0; i < 20; i++) {
        Server server({.onmessage = echo});
        Client client = Client::open(server.port());
        client.send_text("hello");
        CHECK(client.receive_text() == "hello");
    }
}
