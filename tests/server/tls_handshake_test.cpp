// tls_handshake_test.cpp: what a TLS handshake negotiates, and what a server and its callbacks
// can learn of it: versions, certificates by name, client certificates, sessions, ALPN.
// Handshakes that fail are in tls_refusal_test.cpp, files in tls_files_test.cpp.
#include "tests/support/tls_server.h"

#include <doctest/doctest.h>

using namespace test;

namespace {

struct Told {
    bool is_tls = false;
    std::string version, cipher, server_name, client_subject;
    bool resumed = false;
};

Told told_of(const libwebsock_client_state *client)
{
    const libwebsock_tls_info *info = libwebsock_client_tls(client);
    if (info == nullptr)
        return {};
    return {true,
            info->version,
            info->cipher,
            info->server_name,
            info->client_subject,
            info->resumed == 1};
}

// The common name of the certificate that a client asking for name is shown.
std::string shown_to(int port, const std::string &name, const Authority &authority)
{
    Client client =
        open_tls(port, {.server_name = name, .verify = false, .ca_file = authority.ca_file()});
    std::string common_name(64, '\0');
    client.tls().with_ssl([&](SSL *ssl) {
        const websock::OwnedX509 certificate(SSL_get1_peer_certificate(ssl));
        int len = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                                            NID_commonName, common_name.data(), 64);
        common_name.resize(len > 0 ? static_cast<size_t>(len) : 0);
    });
    return common_name;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("callbacks and kept handles can ask what TLS has negotiated")
{
    Told at_request;
    Server server(tls_behaviour({.onrequest =
                                     [&](Scene &, auto *client, auto *) {
                                         at_request = told_of(client);
                                         return 0;
                                     },
                                 .keep_handles = true}));
    {
        Client client = open_tls(server.port(), {.server_name = "localhost"});
        client.send_close(1000);
        client.receive_close();
        client.expect_eof();
    }
    server.events().wait(Kind::close);
    const Told afterwards = told_of(server.handle());
    for (const Told &told : {at_request, afterwards}) {
        CHECK(told.is_tls);
        CHECK(told.version == "TLSv1.3");
        CHECK(told.cipher.starts_with("TLS_"));
        CHECK(told.server_name == "localhost");
        CHECK(told.client_subject == "");
        CHECK_FALSE(told.resumed);
    }
}

TEST_CASE("a plain connection has no TLS details")
{
    Server server({.keep_handles = true, .transport = Transport::plain});
    Client client(server.port(), {.transport = Transport::plain});
    client.handshake();
    errno = 0;
    CHECK(libwebsock_client_tls(server.handle()) == nullptr);
    CHECK(errno == ENOENT);
    errno = 0;
    CHECK(libwebsock_client_tls(nullptr) == nullptr);
    CHECK(errno == EINVAL);
}

TEST_CASE("TLS 1.2 and 1.3 clients are served side by side")
{
    Server server(tls_behaviour({.onmessage = echo, .keep_handles = true}));
    Client older = open_tls(server.port(), {.max_version = TLS1_2_VERSION});
    Client newer = open_tls(server.port(), {.min_version = TLS1_3_VERSION});
    older.send_text("1.2");
    newer.send_text("1.3");
    CHECK(older.receive_text() == "1.2");
    CHECK(newer.receive_text() == "1.3");
    CHECK(told_of(server.handle(1)).version == "TLSv1.2");
    CHECK(told_of(server.handle(2)).version == "TLSv1.3");
}

TEST_CASE("ALPN chooses http/1.1 wherever it is in the list, and is optional")
{
    Server server(tls_behaviour());
    const auto chosen = [&](std::vector<std::string> offered) {
        Client client = open_tls(server.port(), {.alpn = std::move(offered)});
        std::string protocol;
        client.tls().with_ssl([&](SSL *ssl) {
            const unsigned char *name = nullptr;
            unsigned len = 0;
            SSL_get0_alpn_selected(ssl, &name, &len);
            protocol.assign(reinterpret_cast<const char *>(name), len);
        });
        return protocol;
    };
    CHECK(chosen({"http/1.1"}) == "http/1.1");
    CHECK(chosen({"h2", "http/1.1"}) == "http/1.1");
    CHECK(chosen({}) == "");
}

TEST_CASE("a session is resumed from the client's ticket")
{
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        Server server(tls_behaviour({.onmessage = echo, .keep_handles = true}));
        Client first = open_tls(server.port(), {.max_version = version});
        first.send_text("tickets come with the answer");
        first.receive_text();
        Client second =
            open_tls(server.port(), {.max_version = version, .session = first.tls().session()});
        CHECK_FALSE(told_of(server.handle(1)).resumed);
        CHECK(told_of(server.handle(2)).resumed);
    }
}

TEST_CASE("a client gets the certificate of the host it asks for")
{
    Authority authority("test root");
    const CertificateFiles fallback = authority.issue({.common_name = "the default"});
    const CertificateFiles example =
        authority.issue({.hosts = {"example.test"}, .common_name = "example"});
    const CertificateFiles others =
        authority.issue({.hosts = {"*.example.test"}, .common_name = "wildcard"});
    const libwebsock_tls_host hosts[] = {
        {"*.example.test", others.key_file.c_str(), others.cert_file.c_str(), nullptr},
        {"Example.Test", example.key_file.c_str(), example.cert_file.c_str(), nullptr}};
    libwebsock_tls_options options = options_for(fallback);
    options.hosts = hosts;
    options.host_count = 2;
    const auto server = serve_tls(options, {.keep_handles = true});
    const int port = server->port();

    CHECK(shown_to(port, "example.test", authority) == "example");
    CHECK(shown_to(port, "EXAMPLE.test", authority) == "example");
    CHECK(shown_to(port, "a.example.test", authority) == "wildcard");
    CHECK(shown_to(port, "A.Example.TEST", authority) == "wildcard");
    CHECK(shown_to(port, "a.b.example.test", authority) == "the default"); // two labels
    CHECK(shown_to(port, "other.test", authority) == "the default");
    CHECK(shown_to(port, "", authority) == "the default");
    CHECK(told_of(server->handle(1)).server_name == "example.test");
    CHECK(told_of(server->handle(7)).server_name == "");
    for (const LogLine &line : server->log().lines())
        CHECK(line.level > LIBWEBSOCK_LOG_WARNING); // each certificate is for its host
}

TEST_CASE("the intermediate certificates up to the root are sent")
{
    const Authority root("test root");
    const Authority between = root.intermediate("test intermediate");
    const CertificateFiles certificate = between.issue();
    libwebsock_tls_options in_one_file = options_for(certificate);
    in_one_file.certfile = certificate.bundle_file.c_str();
    in_one_file.chainfile = nullptr;
    for (const libwebsock_tls_options &options : {options_for(certificate), in_one_file}) {
        const auto server = serve_tls(options, {.onmessage = echo});
        Client client = open_tls(server->port(), {.ca_file = root.ca_file()}); // verifies
        client.send_text("trusted");
        CHECK(client.receive_text() == "trusted");
    }
}

TEST_CASE("a client certificate is requested, verified and reported")
{
    Authority authority("clients' root");
    const CertificateFiles alice = authority.issue(
        {.common_name = "alice, the first", .organization = "Example", .is_client = true});
    for (const bool demanded : {true, false}) {
        CAPTURE(demanded);
        libwebsock_tls_options options = options_for(default_certificate());
        options.client_ca_file = authority.ca_file().c_str();
        options.client_certificate_demanded = demanded;
        const auto server = serve_tls(options, {.keep_handles = true});
        open_tls(server->port(), {.cert_file = alice.cert_file, .key_file = alice.key_file});
        CHECK(told_of(server->handle(1)).client_subject == "CN=alice\\, the first,O=Example");
    }
}

TEST_CASE("a client need not have a certificate unless one is demanded")
{
    Authority authority("clients' root");
    libwebsock_tls_options options = options_for(default_certificate());
    options.client_ca_file = authority.ca_file().c_str();
    const auto server = serve_tls(options, {.keep_handles = true});
    open_tls(server->port());
    CHECK(told_of(server->handle(1)).client_subject == "");
}

TEST_CASE("client certificates are verified every time, whatever host is asked for")
{
    Authority authority("clients' root");
    const CertificateFiles alice = authority.issue({.common_name = "alice", .is_client = true});
    const CertificateFiles &own = default_certificate();
    const libwebsock_tls_host host = {"localhost", own.key_file.c_str(), own.cert_file.c_str(),
                                      nullptr};
    libwebsock_tls_options options = options_for(own);
    options.client_ca_file = authority.ca_file().c_str();
    options.client_certificate_demanded = 1;
    options.hosts = &host;
    options.host_count = 1;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CAPTURE(version);
        const auto server = serve_tls(options, {.onmessage = echo, .keep_handles = true});
        TlsOptions as_alice{.cert_file = alice.cert_file,
                            .key_file = alice.key_file,
                            .max_version = version};
        Client first = open_tls(server->port(), as_alice);
        first.send_text("no ticket, please");
        first.receive_text();
        CHECK(told_of(server->handle(1)).client_subject == "CN=alice");
        // The server issues no tickets, so a session offered again is not resumed.
        as_alice.session = first.tls().session();
        Client second = open_tls(server->port(), as_alice);
        CHECK_FALSE(told_of(server->handle(2)).resumed);
        CHECK(told_of(server->handle(2)).client_subject == "CN=alice");
    }
}

TEST_CASE("only the configured ciphers are used")
{
    libwebsock_tls_options options = options_for(default_certificate());
    options.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305";
    options.ciphersuites = "TLS_AES_128_GCM_SHA256";
    const auto server = serve_tls(options, {.keep_handles = true});
    open_tls(server->port(), {.max_version = TLS1_2_VERSION});
    open_tls(server->port());
    CHECK(told_of(server->handle(1)).cipher == "ECDHE-ECDSA-CHACHA20-POLY1305");
    CHECK(told_of(server->handle(2)).cipher == "TLS_AES_128_GCM_SHA256");
}

TEST_CASE("a handshake that uses everything fits the smallest stack")
{
    Authority authority("clients' root");
    const CertificateFiles alice =
        authority.intermediate("clients' intermediate")
            .issue({.common_name = "alice", .is_client = true});
    libwebsock_tls_options options = options_for(default_certificate());
    options.client_ca_file = authority.ca_file().c_str();
    options.client_certificate_demanded = 1;
    const auto server = serve_tls(
        options, {.settings = [](auto *context) { context->connection_stack_bytes = 64 * 1024; },
                  .onmessage = echo});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Client client = open_tls(server->port(), {.cert_file = alice.bundle_file,
                                                  .key_file = alice.key_file,
                                                  .max_version = version});
        client.send_text("fits");
        CHECK(client.receive_text() == "fits");
    }
}

TEST_SUITE_END();
