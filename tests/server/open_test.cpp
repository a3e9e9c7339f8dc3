// open_test.cpp: contexts, listeners and libwebsock_wait from the user's side: what fails and
// how, who can connect, what the statistics say. Refused requests are in refusal_test.cpp, the
// user's own sockets in socket_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <future>

using namespace test;

TEST_CASE("init refuses the reserved arguments")
{
    int something = 0;
    errno = 0;
    CHECK(libwebsock_init(&something, nullptr, 0) == nullptr);
    CHECK(errno == EINVAL);
    errno = 0;
    CHECK(libwebsock_init(nullptr, &something, 0) == nullptr);
    CHECK(errno == EINVAL);
}

TEST_CASE("a new context has the documented settings")
{
    libwebsock_context *context = libwebsock_init(nullptr, nullptr, 0);
    REQUIRE(context != nullptr);
    CHECK(context->user_data == nullptr);
    CHECK((context->onopen != nullptr));
    CHECK((context->onmessage != nullptr));
    CHECK((context->onclose != nullptr));
    CHECK((context->onframetoolarge != nullptr));
    CHECK((context->onlog != nullptr));
    CHECK((context->onpong == nullptr));
    CHECK((context->control_callback == nullptr));
    CHECK((context->onrequest == nullptr));
    CHECK(context->handshake_timeout_ms == 10000);
    CHECK(context->idle_timeout_ms == 120000);
    CHECK(context->send_timeout_ms == 30000);
    CHECK(context->close_timeout_ms == 5000);
    CHECK(context->drain_timeout_ms == 5000);
    CHECK(context->concurrent_events == 0);
    CHECK(context->handle_signals == 1);
    CHECK(context->max_connections == 0);
    CHECK(context->max_handshakes == 1000);
    CHECK(context->max_workers == 0);
    CHECK(context->max_frame_payload == 16u << 20);
    CHECK(context->max_message_payload == 16u << 20);
    CHECK(context->max_handshake_bytes == 16384);
    CHECK(context->max_queued_bytes == 4u << 20);
    CHECK(context->connection_stack_bytes == 131072);
    CHECK(context->worker_stack_bytes == 1048576);
    libwebsock_free(context);

    context = libwebsock_init(nullptr, nullptr, 32u << 20);
    REQUIRE(context != nullptr);
    CHECK(context->max_frame_payload == 32u << 20);
    CHECK(context->max_message_payload == 32u << 20);
    libwebsock_free(context);
}

TEST_CASE("a busy port is refused, and the log names host, port and reason")
{
    Server first;
    Server second({.bind = false, .start = false});
    std::string port = std::to_string(first.port());

    CHECK(error_of(bind_to(second.context(), "127.0.0.1", port.c_str())) == EADDRINUSE);
    CHECK(second.log().has(LIBWEBSOCK_LOG_ERROR, {"127.0.0.1", port, "in use"}));
}

TEST_CASE("bind says what is wrong with its arguments")
{
    Server server({.bind = false, .start = false});
    libwebsock_context *context = server.context();

    CHECK(error_of(bind_to(nullptr, "127.0.0.1", "0")) == EINVAL);
    CHECK(error_of(bind_to(context, "127.0.0.1", nullptr)) == EINVAL);
    for (const std::string port : {"65536", "70000", "-1", "1x", ""}) {
        CAPTURE(port);
        CHECK(error_of(bind_to(context, "127.0.0.1", port.c_str())) != 0);
    }
    CHECK(error_of(bind_to(context, "127.0.0.1", "70000")) == EINVAL);
    CHECK(error_of(bind_to(context, "127.0.0.1", "no-such-service")) == ENOENT);
    CHECK(error_of(bind_to(context, "no such host", "0")) == ENOENT);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"no such host"}));
    // 192.0.2.0/24 is reserved for documentation: no machine has it (RFC 5737).
    CHECK(error_of(bind_to(context, "192.0.2.1", "0")) == EADDRNOTAVAIL);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"192.0.2.1"}));
}

TEST_CASE("port 0 becomes a free port, and libwebsock_port tells which")
{
    Server server({.bind = false, .start = false});
    CHECK(error_of(libwebsock_port(nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_port(server.context())) == ENOTCONN);
    REQUIRE(bind_to(server.context(), "127.0.0.1", "0") == 0);
    CHECK(server.port() > 0);
    server.start();
    Client::open(server.port());
}

TEST_CASE("IPv6 is served, and peers are printed in brackets")
{
    std::string peer;
    Server server({.onopen = [&peer](Scene &, auto *client) { peer = libwebsock_peer(client); },
                   .onmessage = echo,
                   .bind = false,
                   .start = false});
    if (error_of(bind_to(server.context(), "::1", "0")) == EADDRNOTAVAIL) {
        MESSAGE("skipped: this machine has no IPv6");
        return;
    }
    server.start();
    Client client(server.port(), {.host = "::1"});
    client.handshake();
    client.send_text("hello");
    CHECK(client.receive_text() == "hello"); // so onopen has returned
    CHECK(peer == client.address());
    CHECK(peer.substr(0, 6) == "[::1]:");
}

TEST_CASE("one context serves several listeners, and more while it waits")
{
    Server server({.onmessage = echo});
    std::string port = std::to_string(server.port());
    REQUIRE(bind_to(server.context(), "127.0.0.2", port.c_str()) == 0);
    CHECK(std::to_string(server.port()) == port); // the first listener's

    for (const char *host : {"127.0.0.1", "127.0.0.2"}) {
        Client client(server.port(), {.host = host});
        client.handshake();
        client.send_text(host);
        CHECK(client.receive_text() == host);
    }
}

TEST_CASE("without a host, every address is served")
{
    for (const char *host : {static_cast<const char *>(nullptr), ""}) {
        Server server({.bind = false, .start = false});
        REQUIRE(bind_to(server.context(), host, "0") == 0);
        server.start();
        Client::open(server.port());
        Client other(server.port(), {.host = "127.0.0.2"});
        other.handshake();
        Server probe({.bind = false, .start = false});
        if (bind_to(probe.context(), "::1", "0") != 0)
            continue; // this machine has no IPv6
        Client six(server.port(), {.host = "::1"});
        six.handshake();
    }
}

TEST_CASE("onlog may look at the context while the server cannot start")
{
    static int port = 0;
    libwebsock_context *context = libwebsock_init(nullptr, nullptr, 0);
    REQUIRE(bind_to(context, "127.0.0.1", "0") == 0);
    context->onlog = [](libwebsock_context *ctx, int, const char *) {
        port = libwebsock_port(ctx);
    };
    context->send_timeout_ms = -1;
    CHECK(error_of(libwebsock_wait(context)) == EINVAL);
    CHECK(port == libwebsock_port(context));
    context->send_timeout_ms = 1000; // the error can be corrected
    libwebsock_stop(context);
    CHECK(libwebsock_wait(context) == 0);
    libwebsock_free(context);
}

TEST_CASE("wait without a listener fails at once")
{
    Server server({.bind = false});
    CHECK(server.join() == EINVAL);
    CHECK(error_of(libwebsock_wait(nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_stop(nullptr)) == EINVAL);
}

TEST_CASE("a negative time or number makes wait fail, and the context can be put right")
{
    int libwebsock_context::*fields[] = {
        &libwebsock_context::handshake_timeout_ms, &libwebsock_context::idle_timeout_ms,
        &libwebsock_context::send_timeout_ms,      &libwebsock_context::close_timeout_ms,
        &libwebsock_context::drain_timeout_ms,     &libwebsock_context::concurrent_events};
    Server server({.start = false});
    for (auto field : fields) {
        int good = server.context()->*field;
        server.context()->*field = -1;
        CHECK(error_of(libwebsock_wait(server.context())) == EINVAL);
        server.context()->*field = good;
    }
    server.start();
    Client::open(server.port());
}

TEST_CASE("a limit too large for any memory makes wait fail, and the log names it")
{
    const struct {
        size_t libwebsock_context::*limit;
        std::string name;
    } limits[] = {{&libwebsock_context::max_frame_payload, "max_frame_payload"},
                  {&libwebsock_context::max_message_payload, "max_message_payload"},
                  {&libwebsock_context::max_handshake_bytes, "max_handshake_bytes"},
                  {&libwebsock_context::max_request_body, "max_request_body"}};
    for (const auto &tried : limits) {
        for (size_t bad : {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX / 4 + 1}) {
            CAPTURE(tried.name);
            Server server({.start = false});
            server.context()->*tried.limit = bad;
            // so that a wait that accepts it does not serve for ever
            libwebsock_stop(server.context());
            CHECK(error_of(libwebsock_wait(server.context())) == EINVAL);
            CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR,
                                   {"the setting " + tried.name, "out of range"}));
        }
    }
}

TEST_CASE("limits of a quarter of the address space are accepted, and cost no memory")
{
    Server server({.settings =
                       [](auto *context) {
                           context->max_frame_payload = SIZE_MAX / 4;
                           context->max_message_payload = SIZE_MAX / 4;
                           context->max_handshake_bytes = SIZE_MAX / 4;
                           context->max_request_body = SIZE_MAX / 4;
                       },
                   .onmessage = echo});
    Client client = Client::open(server.port());
    client.send_text("text");
    CHECK(client.receive_text() == "text");
}

TEST_CASE("a stop before wait makes wait return 0 at once")
{
    Server server({.start = false});
    REQUIRE(libwebsock_stop(server.context()) == 0);
    CHECK(error_of(libwebsock_wait(server.context())) == 0);
}

TEST_CASE("only one thread waits, and only once")
{
    Server server;
    Client::open(server.port());
    CHECK(error_of(libwebsock_wait(server.context())) == EBUSY);
    CHECK(server.stop_and_join() == 0);
    CHECK(error_of(libwebsock_wait(server.context())) == ESHUTDOWN);
}

TEST_CASE("a stopped context binds no more listeners")
{
    Server server;
    CHECK(server.stop_and_join() == 0);
    CHECK(error_of(bind_to(server.context(), "127.0.0.1", "0")) == ESHUTDOWN);

    Server stopped_first({.start = false});
    REQUIRE(libwebsock_stop(stopped_first.context()) == 0);
    CHECK(error_of(bind_to(stopped_first.context(), "127.0.0.1", "0")) == ESHUTDOWN);
}

TEST_CASE("a context is freed with or without having waited")
{
    libwebsock_free(nullptr);
    libwebsock_free(libwebsock_init(nullptr, nullptr, 0));
    Server bound({.start = false});
    int port = bound.port();
    bound.free();
    CHECK_THROWS(Client::open(port)); // the listener is gone
}

TEST_CASE("statistics count connections, messages and every byte on the wire")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    client.send_text("hello");
    client.send_binary(std::string(1000, '\0'));
    client.receive_frame();
    client.receive_frame();
    CHECK(server.stats().connections_open == 1);
    CHECK(server.stats().workers >= 1);
    client.send_close(WS_CLOSE_NORMAL);
    client.receive_close();
    client.expect_eof();

    Client refused(server.port());
    refused.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(refused.receive_http().status == 426);
    refused.expect_eof();

    server.events().wait(Kind::close);
    CHECK(eventually([&] { return server.stats().connections_refused == 1; }));
    CHECK(eventually([&] { return server.stats().connections_open == 0; }));
    CHECK(eventually([&] { return server.stats().workers_busy == 0; }));
    libwebsock_statistics stats = server.stats();
    CHECK(stats.connections_accepted == 2);
    CHECK(stats.messages_in == 2);
    CHECK(stats.messages_out == 2);
    CHECK(stats.bytes_in == client.bytes_sent() + refused.bytes_sent());
    CHECK(stats.bytes_out == client.bytes_received() + refused.bytes_received());
    CHECK(eventually([&] { return server.stats().events_queued == 0; }));
    CHECK(stats.longest_callback_ms == 0);
}

TEST_CASE("statistics show a callback that is running")
{
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    client.send_text("stay");
    server.events().wait(Kind::message);
    CHECK(eventually([&] { return server.stats().workers_busy == 1; }));
    CHECK(eventually([&] { return server.stats().longest_callback_ms >= 5; }));
}

TEST_CASE("statistics need a place to write to, and its size")
{
    Server server({.start = false});
    libwebsock_statistics stats{};
    stats.size = sizeof stats;
    CHECK(error_of(libwebsock_stats(nullptr, &stats)) == EINVAL);
    CHECK(error_of(libwebsock_stats(server.context(), nullptr)) == EINVAL);
    stats.size = 0;
    CHECK(error_of(libwebsock_stats(server.context(), &stats)) == EINVAL);
}

TEST_CASE("the linked version is the one in the header")
{
    std::string version = std::to_string(LIBWEBSOCK_VERSION_MAJOR) + "." +
                          std::to_string(LIBWEBSOCK_VERSION_MINOR) + "." +
                          std::to_string(LIBWEBSOCK_VERSION_PATCH);
    CHECK(libwebsock_version_string() == version);
}
