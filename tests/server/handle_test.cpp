// handle_test.cpp: what a client's handle tells and does besides sending: is_open, gone_fd,
// set_data, abort, and who ended the connection.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <thread>

using namespace test;

namespace {

bool is_readable(int fd, int timeout_ms)
{
    pollfd each{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&each, 1, timeout_ms) == 1;
}

constexpr int kDeadlineMs = 20'000;

// Reads to the end, as a client does, and waits for onclose to have returned.
void client_ends(Client &client, Server &server)
{
    if (client.fd() >= 0)
        (void)client.drain();
    server.events().wait(Kind::close);
    CHECK(server.stop_and_join() == 0);
}

// What onclose sees, for the tests of it.
struct Closed {
    libwebsock_close_info info{};
    Behaviour behaviour(Behaviour other = {})
    {
        other.onclose = [this](Scene &, auto *client) { info = *client->close_info; };
        return other;
    }
};

} // namespace

TEST_CASE("a client is open from onopen until its connection closes")
{
    static std::atomic<int> in_onrequest, in_onopen, after_close, in_onclose;
    Server server(
        {.onopen = [](Scene &, auto *client) { in_onopen = libwebsock_is_open(client); },
         .onmessage =
             [](Scene &, auto *client, auto *) {
                 libwebsock_close(client);
                 after_close = libwebsock_is_open(client);
             },
         .onclose = [](Scene &, auto *client) { in_onclose = libwebsock_is_open(client); },
         .onrequest =
             [](Scene &, auto *client, auto *) {
                 in_onrequest = libwebsock_is_open(client);
                 return 0;
             },
         .keep_handles = true});
    after_close = in_onclose = -1;
    {
        Client client = Client::open(server.port());
        CHECK(libwebsock_is_open(server.handle()) == 1);
        client.send_text("x");
        CHECK(client.receive_close().code == 1000);
    }
    server.events().wait(Kind::close);
    CHECK(libwebsock_is_open(server.handle()) == 0);
    CHECK(server.stop_and_join() == 0);
    CHECK(in_onrequest == 0);
    CHECK(in_onopen == 1);
    CHECK(after_close == 0);
    CHECK(in_onclose == 0);
    CHECK(libwebsock_is_open(nullptr) == 0);
}

TEST_CASE("gone_fd becomes readable at the end of a connection, and stays so")
{
    Server server({.keep_handles = true});
    int fd = -1;
    {
        Client client = Client::open(server.port());
        fd = libwebsock_gone_fd(server.handle());
        REQUIRE(fd >= 0);
        CHECK(libwebsock_gone_fd(server.handle()) == fd);
        CHECK_FALSE(is_readable(fd, 0));
    }
    CHECK(is_readable(fd, kDeadlineMs));
    server.events().wait(Kind::close);
    CHECK(is_readable(fd, 0));
    CHECK(libwebsock_gone_fd(nullptr) == -1);
    CHECK(errno == EINVAL);
}

TEST_CASE("gone_fd is readable as soon as the client has sent a Close, before it is answered")
{
    Server server({.onmessage = [](Scene &scene, auto *client, auto *) {
        CHECK(is_readable(libwebsock_gone_fd(client), kDeadlineMs));
        libwebsock_send_text(client, "the last word");
        scene.gate.wait();
    }});
    Client client = Client::open(server.port());
    client.send_text("x");
    client.send_close(1000);
    CHECK(client.receive_text() == "the last word"); // sent while the Close waits for its answer
    server.gate().open();
    CHECK(client.receive_close().code == 1000);
}

TEST_CASE("gone_fd of a connection that has ended is readable at once")
{
    Server server({.keep_handles = true});
    {
        Client client = Client::open(server.port());
    }
    server.events().wait(Kind::close);
    CHECK(is_readable(libwebsock_gone_fd(server.handle()), 0));
}

TEST_CASE("a callback that waits for something else can wait for the end of its client, too")
{
    Server server({.onmessage = [](Scene &, auto *client, auto *) {
        CHECK(is_readable(libwebsock_gone_fd(client), kDeadlineMs));
    }});
    {
        Client client = Client::open(server.port());
        client.send_text("x");
        server.events().wait(Kind::message);
    }
    server.events().wait(Kind::close);
}

TEST_CASE("data is freed with the handle, after onclose")
{
    static std::atomic<int> frees, at_onclose;
    frees = 0;
    at_onclose = -1;
    const auto free_data = [](void *data) { frees += *static_cast<int *>(data); };
    static int ten = 10, hundred = 100;
    Server server({.onopen =
                       [=](Scene &, auto *client) {
                           libwebsock_set_data(client, &ten, free_data);
                           CHECK(client->data == &ten);
                           libwebsock_set_data(client, &ten, free_data); // the same: kept
                           CHECK(frees == 0);
                           libwebsock_set_data(client, &hundred, free_data);
                           CHECK(frees == 10);
                       },
                   .onclose = [](Scene &, auto *) { at_onclose = frees.load(); },
                   .keep_handles = true});
    {
        Client client = Client::open(server.port());
    }
    server.events().wait(Kind::close);
    libwebsock_client_state *const handle = libwebsock_retain(server.handle());
    server.free();
    CHECK(at_onclose == 10);
    CHECK(frees == 10);
    libwebsock_release(handle);
    CHECK(eventually([] { return frees == 10; })); // the scene still holds one
    libwebsock_set_data(nullptr, nullptr, nullptr);
    libwebsock_set_data(server.handle(), nullptr, nullptr);
    CHECK(frees == 110);
}

TEST_CASE("abort cuts a client off: what has come is not run, and onclose says why")
{
    Server server({.onmessage =
                       [](Scene &, auto *client, auto *) {
                           CHECK(libwebsock_abort(client, "flooded us") == 0);
                           CHECK(libwebsock_is_open(client) == 0);
                           CHECK(error_of(libwebsock_abort(client, "again")) == ENOTCONN);
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "one") +
                    encode_frame(true, WS_OPCODE_TEXT, "two"));
    const Event closed = server.events().wait(Kind::close);
    CHECK(closed.code == WS_CLOSE_DIRTY);
    CHECK(closed.text == "flooded us");
    CHECK(server.handle()->close_info->ended_by == LIBWEBSOCK_ENDED_BY_PROGRAM);
    CHECK(server.handle()->close_info->sent_code == 0);
    CHECK(server.events().count(Kind::message) == 1);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {"flooded us"}));
    (void)client.drain();
}

TEST_CASE("abort from another thread does not wait for the callback that runs")
{
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    client.send_text("hold");
    server.events().wait(Kind::message);
    CHECK(libwebsock_abort(server.handle(), nullptr) == 0);
    (void)client.drain();
    server.gate().open();
    CHECK(server.events().wait(Kind::close).text == "aborted by the program");
}

TEST_CASE("abort in onrequest gives no answer")
{
    Server server({.onrequest = [](Scene &, auto *client, auto *) {
        CHECK(libwebsock_abort(client, "not you") == 0);
        return 0;
    }});
    Client client(server.port());
    client.send_raw(upgrade_request());
    (void)client.drain();
    CHECK(client.bytes_received() == 0);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {"not you"}));
}

TEST_CASE("abort refuses what it cannot do")
{
    Server server({.keep_handles = true});
    {
        Client client = Client::open(server.port());
        CHECK(error_of(libwebsock_abort(nullptr, "x")) == EINVAL);
        CHECK(error_of(libwebsock_abort(server.handle(), "\xff")) == EILSEQ);
        client.send_text("still here");
        server.events().wait(Kind::message);
    }
    server.events().wait(Kind::close);
    CHECK(error_of(libwebsock_abort(server.handle(), "x")) == ENOTCONN);
}

TEST_CASE("close_info says that the peer has ended the connection, and what we answered")
{
    Closed closed;
    Server server(closed.behaviour());
    Client client = Client::open(server.port());
    SUBCASE("with a code")
    {
        client.send_close(4001, "bye");
        CHECK(client.receive_close().code == 4001);
        client_ends(client, server);
        CHECK(closed.info.code == 4001);
        CHECK(std::string(closed.info.reason) == "bye");
        CHECK(closed.info.sent_code == 4001);
    }
    SUBCASE("without a code")
    {
        client.send_frame(true, WS_OPCODE_CLOSE, "");
        (void)client.receive_close();
        client_ends(client, server);
        CHECK(closed.info.code == WS_CLOSE_NO_CODE);
        CHECK(closed.info.sent_code == WS_CLOSE_NO_CODE);
    }
    SUBCASE("without a Close frame")
    {
        client.reset();
        client_ends(client, server);
        CHECK(closed.info.code == WS_CLOSE_DIRTY);
        CHECK(closed.info.sent_code == 0);
    }
    CHECK(closed.info.ended_by == LIBWEBSOCK_ENDED_BY_PEER);
    CHECK(std::string(closed.info.sent_reason).empty());
}

TEST_CASE("close_info says that the program has closed, and with what")
{
    Closed closed;
    SUBCASE("by libwebsock_close_with_reason")
    {
        Server server(closed.behaviour({.onmessage = [](Scene &, auto *client, auto *) {
            libwebsock_close_with_reason(client, 4002, "game over");
        }}));
        Client client = Client::open(server.port());
        client.send_text("x");
        CHECK(client.receive_close().code == 4002);
        client.send_close(4003, "fine");
        client_ends(client, server);
        CHECK(closed.info.code == 4003); // the peer's, as ever
        CHECK(closed.info.sent_code == 4002);
        CHECK(std::string(closed.info.sent_reason) == "game over");
    }
    SUBCASE("by a stop")
    {
        Server server(closed.behaviour());
        Client client = Client::open(server.port());
        std::thread stop([&] { CHECK(server.stop_and_join() == 0); });
        CHECK(client.receive_close().code == 1001);
        client.send_close(1001);
        (void)client.drain();
        stop.join();
        CHECK(closed.info.sent_code == 1001);
    }
    SUBCASE("by an exception")
    {
        Server server(closed.behaviour(
            {.onmessage = [](Scene &, auto *, auto *) { throw std::runtime_error("oops"); }}));
        Client client = Client::open(server.port());
        client.send_text("x");
        CHECK(client.receive_close().code == 1011);
        client.send_close(1011);
        client_ends(client, server);
        CHECK(closed.info.sent_code == 1011);
    }
    CHECK(closed.info.ended_by == LIBWEBSOCK_ENDED_BY_PROGRAM);
}

TEST_CASE("close_info says that the library has closed, and with what")
{
    Closed closed;
    SUBCASE("because of the peer's error")
    {
        Server server(closed.behaviour());
        Client client = Client::open(server.port());
        client.send_frame(true, WS_OPCODE_TEXT, "\xff");
        CHECK(client.receive_close().code == 1007);
        client_ends(client, server);
        CHECK(closed.info.code == WS_CLOSE_DIRTY);
        CHECK(closed.info.sent_code == 1007);
        CHECK_FALSE(std::string(closed.info.sent_reason).empty());
    }
    SUBCASE("because it was silent")
    {
        Server server(
            closed.behaviour({.settings = [](auto *context) { context->idle_timeout_ms = 50; }}));
        Client client = Client::open(server.port());
        client_ends(client, server);
        CHECK(closed.info.sent_code == 0);
    }
    CHECK(closed.info.ended_by == LIBWEBSOCK_ENDED_BY_LIBRARY);
}

TEST_CASE("a long reason is reported as it was sent")
{
    Closed closed;
    std::string reason;
    for (int i = 0; i < 70; ++i)
        reason += "\xc3\xa4";
    Server server(closed.behaviour({.onmessage = [reason](Scene &, auto *client, auto *) {
        libwebsock_close_with_reason(client, 4000, reason.c_str());
    }}));
    Client client = Client::open(server.port());
    client.send_text("x");
    CHECK(client.receive_close().reason == reason.substr(0, 122));
    client.send_close(4000);
    client_ends(client, server);
    CHECK(std::string(closed.info.sent_reason) == reason.substr(0, 122));
}
