// server_test.cpp: a server's settings, listeners, TLS, figures and end.
#include "running.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace test;

TEST_CASE("settings reach the context, and those that are not named stay as they are")
{
    websock::Server plain;
    websock::Server server(
        {.handshake_timeout = 1s,
         .idle_timeout = 2s,
         .send_timeout = 3s,
         .close_timeout = 4s,
         .drain_timeout = 5ms,
         .message_timeout = 1h,
         .max_connections = 1,
         .max_handshakes = 2,
         .max_handshake_bytes = 3,
         .max_request_body = 18,
         .max_frame_payload = 4,
         .max_message_payload = 5,
         .max_queued_bytes = 6,
         .max_topics = 7,
         .max_topic_bytes = 8,
         .max_subscriptions_per_client = 9,
         .max_workers = 10,
         .worker_stack_bytes = 11,
         .connection_stack_bytes = 12,
         .send_buffer_bytes = 13,
         .close_trace_frames = 14,
         .concurrent_events = 15,
         .handle_signals = false,
         .compression = {.level = 9, .threshold = 16, .history = 17, .window_bits = 11}});
    const libwebsock_context &context = *server.context();
    CHECK(context.handshake_timeout_ms == 1000);
    CHECK(context.idle_timeout_ms == 2000);
    CHECK(context.send_timeout_ms == 3000);
    CHECK(context.close_timeout_ms == 4000);
    CHECK(context.drain_timeout_ms == 5);
    CHECK(context.message_timeout_ms == 3'600'000);
    CHECK(context.max_connections == 1);
    CHECK(context.max_handshakes == 2);
    CHECK(context.max_handshake_bytes == 3);
    CHECK(context.max_request_body == 18);
    CHECK(context.max_frame_payload == 4);
    CHECK(context.max_message_payload == 5);
    CHECK(context.max_queued_bytes == 6);
    CHECK(context.max_topics == 7);
    CHECK(context.max_topic_bytes == 8);
    CHECK(context.max_subscriptions_per_client == 9);
    CHECK(context.max_workers == 10);
    CHECK(context.worker_stack_bytes == 11);
    CHECK(context.connection_stack_bytes == 12);
    CHECK(context.send_buffer_bytes == 13);
    CHECK(context.close_trace_frames == 14);
    CHECK(context.concurrent_events == 15);
    CHECK(context.handle_signals == 0);
    CHECK(context.compression == 1);
    CHECK(context.compression_level == 9);
    CHECK(context.compression_threshold == 16);
    CHECK(context.compression_history == 17);
    CHECK(context.compression_window_bits == 11);
    CHECK(plain.context()->idle_timeout_ms == 120'000);
    CHECK(plain.context()->compression == 0);
}

TEST_CASE("a setting that is out of range makes run fail")
{
    websock::Server server({.send_timeout = 0s});
    Lines log(server);
    listen_on_loopback(server);
    CHECK(thrown_by([&] { server.run(); }) == EINVAL);
    CHECK(log.has("send_timeout_ms"));
}

TEST_CASE("a server that listens on nothing cannot run")
{
    websock::Server server;
    server.no_log();
    CHECK(server.port() == 0);
    CHECK(thrown_by([&] { server.run(); }) == EINVAL);
}

TEST_CASE("listen fails with the errno of what is wrong")
{
    websock::Server server;
    server.no_log();
    server.listen("127.0.0.1", "0");
    CHECK(thrown_by([&] { server.listen("127.0.0.1", server.port()); }) == EADDRINUSE);
    CHECK(server.try_listen("127.0.0.1", "no-such-service").value() != 0);
    CHECK(server.try_listen(std::string_view("a\0b", 3), 0) == std::errc::invalid_argument);
    CHECK(thrown_by([&] {
              server.listen("127.0.0.1", 0, {.key = "/nowhere.pem", .certificate = "/nowhere.pem"});
          }) == ENOENT);
    CHECK(server.try_reload_certificates() == std::errc::invalid_argument);
}

TEST_CASE("what listen and run throw says that the log has the reason, if it has")
{
    const auto text_of_error = [](auto &&function) -> std::string {
        try {
            function();
        } catch (const std::system_error &error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    websock::Server server;
    Lines log(server);
    CHECK(text_of_error([&] {
              server.listen("127.0.0.1", "no-such-service");
          }).ends_with(" (the log says why)"));
    CHECK(log.has("no-such-service"));
    CHECK(text_of_error([&] { server.run(); }) == "run: Invalid argument (the log says why)");
    CHECK(log.has("nothing is bound"));
    CHECK(text_of_error([&] { server.reload_certificates(); }) ==
          "reload_certificates: Invalid argument (the log says why)");
    CHECK(log.has("no listener has TLS"));
    listen_on_loopback(server);
    server.stop();
    server.run();
    CHECK(text_of_error([&] { server.run(); }).find("the log") == std::string::npos);
}

TEST_CASE("a server that never ran may be destroyed")
{
    websock::Server server;
    server.on_open([](const websock::Client &) {});
    listen_on_loopback(server);
}

TEST_CASE("stop makes run return, also before it is called")
{
    websock::Server server;
    listen_on_loopback(server);
    server.stop();
    server.run();
    CHECK(thrown_by([&] { server.run(); }) == ESHUTDOWN);
}

TEST_CASE("a callback may stop the server; clients get 1001")
{
    websock::Server server;
    server.on_message([&](const websock::Client &, std::string_view) { server.stop(); });
    Running running(server);
    Client client = running.connect();
    client.send_text("stop");
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    client.send_close(WS_CLOSE_GOING_AWAY);
    CHECK(!running.stop());
}

TEST_CASE("a callback that does not return in time still has what it needs")
{
    Told<bool> in_callback;
    Told<bool> go_on;
    Told<std::string> result;
    {
        websock::Server server({.drain_timeout = 1ms});
        server.no_log();
        server.on_message(
            [&, owned = std::string(1000, 'x')](const websock::Client &, std::string_view) {
                in_callback.tell(true);
                (void)go_on.get();
                result.tell(owned);
            });
        Running running(server);
        Client client = running.connect();
        client.send_text("x");
        CHECK(in_callback.get());
        CHECK(running.stop() == std::errc::timed_out);
    }
    go_on.tell(true);
    CHECK(result.get() == std::string(1000, 'x'));
}

TEST_CASE("a socket of the program's own is served")
{
    websock::Server server;
    server.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text); });
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    server.adopt(pair[0]);
    Client client = Client::over(pair[1]);
    client.handshake();
    client.send_text("x");
    CHECK(client.receive_text() == "x");
    CHECK(server.try_adopt(-1) == std::errc::bad_file_descriptor);
}

TEST_CASE("a client knows its address, and its TLS")
{
    websock::Server server;
    Told<std::vector<std::string>> told;
    server.on_open([&](const websock::Client &client) {
        const libwebsock_tls_info *tls = client.tls();
        told.tell({std::string(client.peer()), tls ? tls->version : "plain",
                   client.address().ss_family == AF_INET ? "IPv4" : "",
                   client.socket() >= 0 ? "socket" : "",
                   client.compression_info() ? "compressed" : ""});
    });
    Running running(server);
    Client client = running.connect();
    CHECK(told.get() == std::vector<std::string>{client.address(), over_tls() ? "TLSv1.3" : "plain",
                                                 "IPv4", "socket", ""});
}

TEST_CASE("one port has a certificate for each host, and clients' certificates" *
          doctest::test_suite("no transport"))
{
    const Authority clients("clients");
    const CertificateFiles alice = clients.issue({.common_name = "alice", .is_client = true});
    const CertificateFiles other = default_authority().issue({.hosts = {"other.example"}});
    const CertificateFiles &files = default_certificate();
    websock::Server server;
    server.on_open([](const websock::Client &client) {
        client.send(std::string(client.tls()->server_name) + " " + client.tls()->client_subject);
    });
    server.listen(
        "127.0.0.1", 0,
        {.key = files.key_file,
         .certificate = files.bundle_file,
         .client_ca = clients.ca_file(),
         .client_certificate_demanded = true,
         .min_version = LIBWEBSOCK_TLS_1_3,
         .hosts = {
             {.host = "other.example", .key = other.key_file, .certificate = other.bundle_file}}});
    server.reload_certificates();
    std::thread thread([&] { server.run(); });
    for (const char *const name : {"localhost", "other.example"}) {
        Client client(server.port(), {.transport = Transport::tls,
                                      .tls = {.server_name = name,
                                              .cert_file = alice.cert_file,
                                              .key_file = alice.key_file}});
        client.handshake();
        CHECK(client.receive_text() == std::string(name) + " CN=alice");
    }
    server.stop();
    thread.join();
}

TEST_CASE("messages are compressed if a level is set")
{
    websock::Server server({.compression = {.level = 1}});
    Told<int> bits;
    server.on_message([&](const websock::Client &client, std::string_view text) {
        client.send(text);
        bits.tell(client.compression_info()->server_window_bits);
    });
    Running running(server);
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    client.send_text(std::string(1000, 'x'));
    const Frame frame = client.receive_frame();
    CHECK(frame.compressed);
    CHECK(frame.payload == std::string(1000, 'x'));
    CHECK(bits.get() >= 8);
}

TEST_CASE("a server has figures, and a log that the program may write to")
{
    websock::Server server;
    Lines log(server);
    server.on_open([](const websock::Client &client) { client.send("open"); });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "open");
    CHECK(server.stats().connections_accepted == 1);
    server.log(websock::LogLevel::warning, "hello");
    CHECK(log.has("hello"));
    CHECK(websock::version() == libwebsock_version_string());
}
