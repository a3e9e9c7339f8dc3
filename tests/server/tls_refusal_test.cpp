// tls_refusal_test.cpp: TLS handshakes that fail, streams that break, and what the peer, the
// log and the other clients see of it.
#include "tests/support/tls_server.h"

#include <doctest/doctest.h>

using namespace test;

namespace {

constexpr int kPatienceMs = 300; // deadline of the servers in which the test waits for it

// A TCP connection that does not begin with TLS.
Client bare(int port)
{
    return Client(port, {.transport = Transport::plain});
}

// The start of a ClientHello: part of a record of 512 bytes.
std::string half_a_hello()
{
    return std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(100, 'r');
}

void refuses(Server &server, TlsOptions tls, int alert, const std::string &reason)
{
    tls.may_be_refused = true;
    Client client(server.port(), over_tls(std::move(tls)));
    CHECK(client.receive_end() == End::refused);
    CHECK(client.tls().alert() == alert);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "TLS handshake", reason}));
    CHECK(is_served(server.port()));
    CHECK(server.stats().connections_refused == 1);
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a version below the lowest allowed is refused")
{
    libwebsock_tls_options options = options_for(default_certificate());
    options.min_version = LIBWEBSOCK_TLS_1_3;
    const auto server = serve_tls(options, {.onmessage = echo});
    refuses(*server, {.max_version = TLS1_2_VERSION}, SSL_AD_PROTOCOL_VERSION,
            "unsupported protocol");
}

TEST_CASE("a client without a shared cipher is refused")
{
    Server server(tls_behaviour({.onmessage = echo}));
    refuses(server, {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
            SSL_AD_HANDSHAKE_FAILURE, "no shared cipher");
}

TEST_CASE("a client that speaks only HTTP/2 is refused")
{
    Server server(tls_behaviour({.onmessage = echo}));
    refuses(server, {.alpn = {"h2"}}, SSL_AD_NO_APPLICATION_PROTOCOL, "no application protocol");
}

TEST_CASE("a client that does not trust the server is logged")
{
    Server server(tls_behaviour({.onmessage = echo}));
    const Authority other("nobody's root");
    Client client(server.port(),
                  over_tls({.ca_file = other.ca_file(), .may_be_refused = true}));
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "unknown ca"}));
    CHECK(is_served(server.port()));
}

TEST_CASE("a demanded client certificate must be present and valid")
{
    Authority authority("clients' root");
    Authority other("another root");
    const CertificateFiles good = authority.issue({.common_name = "alice", .is_client = true});
    const CertificateFiles foreign = other.issue({.common_name = "eve", .is_client = true});
    const CertificateFiles expired = authority.issue({.common_name = "bob",
                                                      .not_before = -std::chrono::hours(48),
                                                      .not_after = -std::chrono::hours(1),
                                                      .is_client = true});
    const CertificateFiles of_a_server = authority.issue();
    libwebsock_tls_options options = options_for(default_certificate());
    options.client_ca_file = authority.ca_file().c_str();
    options.client_certificate_demanded = 1;
    const auto server = serve_tls(options, {.onmessage = echo});

    struct Bad {
        const CertificateFiles *files;
        int alert;
        const char *reason;
    };
    const Bad bad[] = {
        {nullptr, SSL_AD_CERTIFICATE_REQUIRED, "did not return a certificate"},
        {&foreign, SSL_AD_UNKNOWN_CA, "unable to get local issuer certificate"},
        {&expired, SSL_AD_CERTIFICATE_EXPIRED, "certificate has expired"},
        {&of_a_server, SSL_AD_UNSUPPORTED_CERTIFICATE, "certificate purpose"},
    };
    for (const Bad &expected : bad) {
        CAPTURE(expected.reason);
        TlsOptions tls{.may_be_refused = true};
        if (expected.files) {
            tls.cert_file = expected.files->cert_file;
            tls.key_file = expected.files->key_file;
        }
        Client client(server->port(), over_tls(tls));
        CHECK(client.receive_end() == End::refused);
        CHECK(client.tls().alert() == expected.alert);
        CHECK(server->log().has(LIBWEBSOCK_LOG_INFO,
                                {client.address(), "TLS handshake", expected.reason}));
    }
    Client alice =
        open_tls(server->port(), {.cert_file = good.cert_file, .key_file = good.key_file});
    alice.send_text("hello");
    CHECK(alice.receive_text() == "hello");
    CHECK(server->stats().connections_refused == std::size(bad));
}

TEST_CASE("a client certificate that is not demanded must still be valid")
{
    Authority authority("clients' root");
    const CertificateFiles foreign =
        Authority("another root").issue({.common_name = "eve", .is_client = true});
    libwebsock_tls_options options = options_for(default_certificate());
    options.client_ca_file = authority.ca_file().c_str();
    const auto server = serve_tls(options, {.onmessage = echo});
    refuses(*server, {.cert_file = foreign.cert_file, .key_file = foreign.key_file},
            SSL_AD_UNKNOWN_CA, "unable to get local issuer certificate");
}

TEST_CASE("plain HTTP on a TLS port gets a plain answer that says so")
{
    Server server(tls_behaviour({.onmessage = echo}));
    for (const char *method : {"GET", "OPTIONS", "get"}) {
        CAPTURE(method);
        Client client = bare(server.port());
        client.send_raw(std::string(method) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const HttpAnswer answer = client.receive_http();
        CHECK(answer.status == 400);
        CHECK(answer.body.find("TLS") != std::string::npos);
        client.expect_eof();
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "400", "TLS"}));
    }
    CHECK(is_served(server.port()));
}

TEST_CASE("what is neither TLS nor HTTP is refused")
{
    Server server(tls_behaviour({.onmessage = echo}));
    for (const std::string &garbage :
         {std::string(64, '\0'), std::string(64, '\x16'), std::string(64, '\xff')}) {
        Client client = bare(server.port());
        client.send_raw(garbage);
        client.drain(); // an alert, perhaps
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "TLS handshake"}));
    }
    CHECK(is_served(server.port()));
    CHECK(server.stats().connections_refused == 3);
}

TEST_CASE("a client that starts no handshake, or does not finish it, is dropped at the deadline")
{
    Server server(tls_behaviour({
        .settings = [](auto *context) { context->handshake_timeout_ms = kPatienceMs; },
        .onmessage = echo,
    }));
    for (const std::string &beginning : {std::string(), half_a_hello()}) {
        Client client = bare(server.port());
        client.send_raw(beginning);
        CHECK(is_served(server.port()));
        client.drain();
        // A client that sends no byte is not logged by default.
        const int level = beginning.empty() ? LIBWEBSOCK_LOG_DEBUG : LIBWEBSOCK_LOG_INFO;
        CHECK(server.log().has(level, {client.address(), "TLS handshake", "not complete in time"}));
    }
    Client silent(server.port(), over_tls({})); // TLS but no request: the same deadline
    CHECK(silent.receive_http().status == 408);
}

TEST_CASE("traffic without data does not keep a connection beyond its deadline")
{
    Server server(tls_behaviour({
        .settings = [](auto *context) { context->handshake_timeout_ms = kPatienceMs; },
    }));
    Client client(server.port(), over_tls({}));
    const Clock::time_point deadline = Clock::now() + kDeadline;
    // Often, so that the server never waits a whole tick for the next.
    while (!client.has_input() && Clock::now() < deadline) {
        if (client.writable_within(std::chrono::milliseconds(1)))
            client.tls().with_ssl([](SSL *ssl) {
                for (int i = 0; i < 20; i++) {
                    (void)SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
                    (void)SSL_do_handshake(ssl);
                }
            });
    }
    REQUIRE(Clock::now() < deadline); // the server ended the loop, not the deadline
    CHECK(client.receive_http().status == 408);
}

TEST_CASE("a load balancer's health check is not logged by default")
{
    Server server(tls_behaviour());
    Client client = bare(server.port());
    client.half_close();
    client.drain();
    CHECK(server.log().has(LIBWEBSOCK_LOG_DEBUG, {client.address(), "TLS handshake"}));
}

TEST_CASE("a connection without room gets an alert, since it cannot get a 503")
{
    Server server(tls_behaviour(
        {.settings = [](auto *context) { context->max_connections = 1; }, .onmessage = echo}));
    Client first = open_tls(server.port());
    Client second(server.port(), over_tls({.may_be_refused = true}));
    CHECK(second.receive_end() == End::refused);
    CHECK(second.tls().alert() == SSL_AD_INTERNAL_ERROR);
    first.send_text("still here");
    CHECK(first.receive_text() == "still here");
}

TEST_CASE("close_notify follows the server's last data")
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        Server server(tls_behaviour());
        Client closing = open_tls(server.port(), {.max_version = version});
        closing.send_close(1000, "bye");
        CHECK(closing.receive_close().code == 1000);
        CHECK(closing.receive_end() == End::eof);

        Client plain_http(server.port(), over_tls({.max_version = version}));
        plain_http.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CHECK(plain_http.receive_http().status == 426);
        CHECK(plain_http.receive_end() == End::eof);
    }
}

TEST_CASE("a truncated TLS stream is told from an orderly end, and neither counts as a Close")
{
    Server server(tls_behaviour());
    Client orderly = open_tls(server.port());
    orderly.half_close();
    const Event closed = server.events().wait(Kind::close, 1);
    CHECK(closed.code == WS_CLOSE_DIRTY);
    CHECK(closed.text == "the peer closed without a Close frame");
    CHECK(orderly.receive_end() == End::eof);

    Client truncated = open_tls(server.port());
    truncated.cut_off();
    const Event cut = server.events().wait(Kind::close, 2);
    CHECK(cut.code == WS_CLOSE_DIRTY);
    CHECK(cut.text == "the TLS stream was cut off");
}

TEST_CASE("an end that arrives together with the last data is noticed")
{
    Server server(tls_behaviour());
    Client client = open_tls(server.port());
    client.tls().with_ssl([](SSL *ssl) { // sent as one
        const std::string frame = encode_frame(true, WS_OPCODE_TEXT, "last");
        CHECK(SSL_write(ssl, frame.data(), static_cast<int>(frame.size())) > 0);
        CHECK(SSL_shutdown(ssl) == 0);
    });
    CHECK(server.events().wait(Kind::message).text == "last");
    CHECK(server.events().wait(Kind::close).text == "the peer closed without a Close frame");
}

TEST_CASE("a tampered record ends its connection with an alert")
{
    Server server(tls_behaviour({.onmessage = echo}));
    Client client = open_tls(server.port());
    const std::string forged("\x17\x03\x03\x00\x20", 5);
    REQUIRE(::send(client.fd(), (forged + std::string(32, 'x')).data(), 37, MSG_NOSIGNAL) == 37);
    CHECK(client.drain() == End::refused);
    CHECK(client.tls().alert() == SSL_AD_BAD_RECORD_MAC);
    const Event closed = server.events().wait(Kind::close);
    CHECK(closed.code == WS_CLOSE_DIRTY);
    CHECK(closed.text.find("bad record mac") != std::string::npos);
    CHECK(is_served(server.port()));
}

TEST_CASE("a renegotiation is refused at once")
{
    Server server(tls_behaviour({.onmessage = echo}));
    Client client = open_tls(server.port(), {.max_version = TLS1_2_VERSION});
    client.tls().with_ssl([](SSL *ssl) {
        CHECK(SSL_renegotiate(ssl) == 1);
        (void)SSL_do_handshake(ssl);
    });
    // OpenSSL as a client gives up the connection when its renegotiation is refused.
    CHECK(client.drain() == End::refused);
    CHECK(client.tls().error().find("no renegotiation") != std::string::npos);
    CHECK(is_served(server.port()));
}

TEST_SUITE_END();
