// tls_flow_test.cpp: TLS under load and in both directions at once: senders do not wait for
// readers, nor readers for senders, and handshakes hold up nobody.
#include "tests/support/hostile.h"
#include "tests/support/tls_forger.h"
#include "tests/support/tls_server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>

using namespace test;

namespace {

// An exception in the thread fails the test in get().
template<class F> std::future<void> in_thread(F function)
{
    return std::async(std::launch::async, std::move(function));
}

// The two halves of a KeyUpdate message, RFC 8446 4.6.3: type and length, then "no update
// requested". OpenSSL starts on a message once it has the header, and writes nothing until the
// message is complete.
constexpr std::string_view kHalfKeyUpdate("\x18\x00\x00\x01", 4);
constexpr std::string_view kOtherHalf("\x00", 1);

// A server with the only cipher that the forger speaks.
std::unique_ptr<Server> serve_forgers(Behaviour behaviour)
{
    libwebsock_tls_options options = options_for(default_certificate());
    options.ciphersuites = "TLS_AES_128_GCM_SHA256";
    return serve_tls(options, std::move(behaviour));
}

constexpr uint64_t kUpgradeRequest = 1; // in records

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a storm of KeyUpdates while much is sent in both directions")
{
    constexpr size_t kMessage = 256 * 1024;
    constexpr size_t kMessages = scaled(512, 256);
    constexpr size_t kPerUpdate = kMessages / 256; // the updates are as many under a sanitizer
    Server server(tls_behaviour({.onmessage = echo}));
    Client client = open_tls(server.port());
    // A few texts, made once: the time is meant for the server.
    std::vector<std::string> texts;
    std::vector<std::string> frames;
    for (char c = 'a'; c <= 'g'; c++) {
        texts.emplace_back(kMessage, c);
        frames.push_back(encode_frame(true, WS_OPCODE_BINARY, texts.back()));
    }
    std::future<void> sender = in_thread([&] {
        for (size_t i = 0; i < kMessages; i++) {
            if (i % kPerUpdate == 0) // and the server answers with its own
                client.tls().with_ssl(
                    [](SSL *ssl) { CHECK(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1); });
            client.send_raw(frames[i % frames.size()]);
        }
    });
    size_t right = 0;
    for (size_t i = 0; i < kMessages; i++)
        right += client.receive_past_pings().payload == texts[i % texts.size()];
    sender.get();
    CHECK(right == kMessages);
    client.send_close(1000);
    CHECK(client.receive_close().code == 1000);
    client.expect_eof();
}

TEST_CASE("a stream of KeyUpdates alone disturbs no sender")
{
    // Far more would get the client dropped, since it does not read the server's answers.
    constexpr int kUpdates = 1000;
    Server server(tls_behaviour({.keep_handles = true}));
    Client client = open_tls(server.port());
    libwebsock_client_state *handle = server.handle();
    std::atomic<bool> stop = false;
    std::atomic<int> error = 0;
    std::future<void> sender = in_thread([&] {
        while (!stop && error == 0)
            error = error_of(libwebsock_send_text(handle, "tick"));
        libwebsock_send_text(handle, "end");
    });
    std::future<void> updater = in_thread([&] {
        const struct Stop { // however this ends
            std::atomic<bool> &stop;
            ~Stop() { stop = true; }
        } at_the_end{stop};
        for (int i = 0; i < kUpdates; i++)
            client.tls().with_ssl([](SSL *ssl) {
                (void)SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
                (void)SSL_do_handshake(ssl); // sends it now
            });
    });
    std::string text = "tick";
    while (text == "tick")
        text = client.receive_text();
    CHECK(text == "end");
    sender.get();
    updater.get();
    CHECK(error == 0);
    client.send_close(1000);
    CHECK(client.receive_close().code == 1000);
}

TEST_CASE("a client that reads none of the answers to its KeyUpdates is dropped")
{
    Server server(tls_behaviour({.onmessage = echo}));
    Client client(server.port(), {.receive_buffer = 4096, .transport = Transport::tls});
    client.handshake();
    const Clock::time_point deadline = Clock::now() + 3 * kDeadline;
    while (server.events().count(Kind::close) == 0 && Clock::now() < deadline) {
        if (client.writable_within(std::chrono::milliseconds(1)))
            client.tls().with_ssl([](SSL *ssl) {
                for (int i = 0; i < 200; i++) {
                    (void)SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
                    (void)SSL_do_handshake(ssl);
                }
            });
    }
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {"too many unread answers"}));
    CHECK(is_served(server.port()));
}

TEST_CASE("a sender stuck behind half a KeyUpdate goes on when the other half comes")
{
    const auto server = serve_forgers({.keep_handles = true});
    Client client = open_tls(server->port());
    libwebsock_client_state *handle = server->handle();
    TlsForger forger(client, kUpgradeRequest);
    forger.send(kHandshakeContent, kHalfKeyUpdate);
    std::atomic<bool> stop = false;
    std::atomic<size_t> sent = 0;
    std::future<void> sender = in_thread([&] {
        while (!stop && libwebsock_send_text(handle, "tick") == 0)
            sent++;
        libwebsock_send_text(handle, "end");
    });
    // A waiting sender shows only by making no progress: a hundred looks without any.
    size_t before = 0;
    int looks = 0;
    CHECK(eventually([&] {
        looks = before == sent ? looks + 1 : 0;
        before = sent;
        return looks == 100;
    }));
    forger.send(kHandshakeContent, kOtherHalf);
    for (size_t i = 0; i < before + 1000; i++)
        REQUIRE(client.receive_text() == "tick");
    stop = true;
    std::string text = "tick";
    while (text == "tick")
        text = client.receive_text();
    CHECK(text == "end");
    sender.get();
}

TEST_CASE("a sender stuck behind half a KeyUpdate gives up when its time is over")
{
    const auto server = serve_forgers({
        .settings = [](auto *context) { context->send_timeout_ms = 200; },
        .onmessage = echo,
        .keep_handles = true,
    });
    Client client = open_tls(server->port());
    TlsForger forger(client, kUpgradeRequest);
    forger.send(kHandshakeContent, kHalfKeyUpdate);
    const auto send = [&] { return error_of(libwebsock_send_text(server->handle(), "tick")); };
    int error = 0;
    while (error == 0)
        error = send();
    // ENOTCONN if a worker with an alert to send ran out of time first.
    CHECK((error == ETIMEDOUT || error == ENOTCONN));
    CHECK(server->stats().send_timeouts == 1);
    CHECK(send() == ENOTCONN);
    CHECK(server->events().wait(Kind::close).code == WS_CLOSE_DIRTY);
    CHECK(is_served(server->port()));
}

TEST_CASE("clients that never complete a KeyUpdate hold up no callback")
{
    const auto server = serve_forgers({
        .settings = [](auto *context) { context->max_workers = 2; },
        .onmessage = echo,
    });
    std::vector<Client> clients;
    for (int i = 0; i < 4; i++) {
        clients.push_back(open_tls(server->port()));
        // The Pong cannot leave before the other half comes.
        TlsForger(clients.back(), kUpgradeRequest)
            .send(kApplicationContent, encode_frame(true, WS_OPCODE_PING, ""), kHandshakeContent,
                  kHalfKeyUpdate);
    }
    CHECK(eventually(
        [&] { return server->stats().bytes_in >= 4 * encode_frame(true, 9, "").size(); }));
    CHECK(is_served(server->port()));
}

TEST_CASE("what waits behind half a KeyUpdate is sent when the other half comes")
{
    const auto server = serve_forgers({});
    Client client = open_tls(server->port());
    TlsForger forger(client, kUpgradeRequest);
    forger.send(kApplicationContent, encode_frame(true, WS_OPCODE_PING, "still there?"),
                kHandshakeContent, kHalfKeyUpdate);
    // Noticing it may take more than one read. What is sent to all waits, too.
    for (int i = 0; i < 100; i++)
        CHECK(libwebsock_send_all_text(server->context(), "tick") == 0);
    forger.send(kHandshakeContent, kOtherHalf);
    int ticks = 0;
    while (ticks < 100) {
        const Frame frame = client.receive_frame();
        ticks += frame.opcode == WS_OPCODE_TEXT;
    }
}

TEST_CASE("stopping wakes a sender stuck behind half a KeyUpdate")
{
    const auto server = serve_forgers({
        .settings = [](auto *context) { context->drain_timeout_ms = 200; },
        .keep_handles = true,
    });
    Client client = open_tls(server->port());
    TlsForger forger(client, kUpgradeRequest);
    forger.send(kHandshakeContent, kHalfKeyUpdate);
    std::atomic<int> error = 0;
    std::future<void> sender = in_thread([&, handle = server->handle()] {
        while (error == 0)
            error = error_of(libwebsock_send_text(handle, "tick"));
    });
    CHECK(server->stop_and_join() == 0);
    sender.get();
    CHECK(error == ENOTCONN);
}

TEST_CASE("one-byte records carry the same messages")
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        Server server(tls_behaviour({.onmessage = echo}));
        Client client(server.port(), over_tls({.max_version = version}));
        std::string text(300, 'x');
        const std::string all = upgrade_request() + encode_frame(true, 1, "short") +
                                encode_frame(false, 1, text) + encode_frame(true, 0, "end");
        for (const char byte : all)
            client.send_raw({&byte, 1});
        CHECK(client.receive_http().status == 101);
        CHECK(client.receive_text() == "short");
        CHECK(client.receive_text() == text + "end");
    }
}

TEST_CASE("500 simultaneous handshakes complete while plain clients are served")
{
    constexpr size_t kHandshakes = 500;
    constexpr size_t kThreads = 20; // each has 25 handshakes under way at once
    // Between its TLS handshake and its request each client waits for 24 others.
    Server server({.settings = [](auto *context) { context->handshake_timeout_ms = 60000; },
                   .onmessage = echo,
                   .transport = Transport::plain});
    const int plain_port = server.port();
    const CertificateFiles &files = default_certificate();
    REQUIRE(libwebsock_bind_ssl(server.context(), "127.0.0.2", std::to_string(plain_port).c_str(),
                                files.key_file.c_str(), files.cert_file.c_str()) == 0);

    Client plain(plain_port, {.transport = Transport::plain});
    plain.handshake();
    std::atomic<size_t> served = 0;
    std::vector<std::future<void>> threads;
    for (size_t t = 0; t < kThreads; t++)
        threads.push_back(in_thread([&] {
            std::vector<Client> clients;
            for (size_t i = 0; i < kHandshakes / kThreads; i++)
                clients.emplace_back(
                    plain_port, Client::Options{.host = "127.0.0.2", .transport = Transport::tls});
            for (Client &client : clients) {
                client.handshake();
                client.send_text("hello");
                served += client.receive_text() == "hello";
            }
        }));
    size_t echoed = 0;
    const auto is_done = [](const std::future<void> &thread) {
        return thread.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    };
    while (!std::all_of(threads.begin(), threads.end(), is_done)) {
        plain.send_text("meanwhile");
        REQUIRE(plain.receive_text() == "meanwhile");
        echoed++;
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // its pace
    }
    for (std::future<void> &thread : threads)
        thread.get();
    CHECK(served == kHandshakes);
    CHECK(echoed > 0);
    CHECK(server.stats().connections_accepted == kHandshakes + 1);
    CHECK(server.stats().connections_refused == 0);
}

TEST_SUITE_END();
