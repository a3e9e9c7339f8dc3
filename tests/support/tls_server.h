// tls_server.h: servers and clients for the tests that are about TLS itself. They speak TLS
// whatever the rest of the run speaks. No test cases.
#pragma once

#include "certificates.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

namespace test {

// What makes a server speak TLS, with the tests' default certificate.
inline Behaviour tls_behaviour(Behaviour behaviour = {})
{
    behaviour.transport = Transport::tls;
    return behaviour;
}

// The options of a listener with this certificate. The strings in it must outlive the options.
inline libwebsock_tls_options options_for(const CertificateFiles &certificate)
{
    libwebsock_tls_options options{};
    options.size = sizeof options;
    options.keyfile = certificate.key_file.c_str();
    options.certfile = certificate.cert_file.c_str();
    options.chainfile = certificate.chain_file.empty() ? nullptr : certificate.chain_file.c_str();
    return options;
}

// A running server that listens as options say.
inline std::unique_ptr<Server> serve_tls(const libwebsock_tls_options &options,
                                         Behaviour behaviour = {})
{
    behaviour.bind = behaviour.start = false;
    auto server = std::make_unique<Server>(std::move(behaviour));
    REQUIRE(libwebsock_bind_tls(server->context(), "127.0.0.1", "0", &options) == 0);
    server->start();
    return server;
}

inline Client::Options over_tls(TlsOptions tls)
{
    return {.transport = Transport::tls, .tls = std::move(tls)};
}

// A client that has done the opening handshake.
inline Client open_tls(int port, TlsOptions tls = {})
{
    Client client(port, over_tls(std::move(tls)));
    client.handshake();
    return client;
}

// Whether the server answers a new client.
inline bool is_served(int port)
{
    Client client = open_tls(port);
    client.send_text("anybody there?");
    return client.receive_text() == "anybody there?";
}

} // namespace test
