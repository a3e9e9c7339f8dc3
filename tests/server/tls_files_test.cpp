// tls_files_test.cpp: what is checked when a TLS listener is bound, how each bad file is
// reported, and how files are read again. What connections notice of a reload is in
// tls_reload_test.cpp.
#include "tests/support/tls_server.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <unistd.h>

using namespace test;

namespace {

// A context that is never started and whose log is kept.
Behaviour idle()
{
    return {.bind = false, .start = false};
}

std::string content_of(const std::string &file)
{
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

// Checks that binding fails with this error, and one line that names file and reason.
void refuses(const libwebsock_tls_options &options, int error, const std::string &file,
             const std::string &reason)
{
    CAPTURE(reason);
    Server server(idle());
    CHECK(error_of(libwebsock_bind_tls(server.context(), "127.0.0.1", "0", &options)) == error);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR,
                           {"cannot listen on 127.0.0.1 port 0", file, reason}));
    CHECK(server.log().lines().size() == 1);
    CHECK(libwebsock_port(server.context()) == -1);
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a file that cannot be read is refused with the system's reason")
{
    const libwebsock_tls_options good = options_for(default_certificate());
    const std::string missing = scratch_file("") + ".missing";
    const std::string directory = std::filesystem::path(missing).parent_path();
    libwebsock_tls_options options = good;
    options.keyfile = missing.c_str();
    refuses(options, ENOENT, missing, "No such file");
    options = good;
    options.certfile = missing.c_str();
    refuses(options, ENOENT, missing, "No such file");
    options = good;
    options.chainfile = missing.c_str();
    refuses(options, ENOENT, missing, "No such file");
    options = good;
    options.client_ca_file = directory.c_str();
    refuses(options, EISDIR, directory, "Is a directory");
}

TEST_CASE("a file that is not what it should be is refused with OpenSSL's reason")
{
    const libwebsock_tls_options good = options_for(default_certificate());
    const std::string text = scratch_file("this is not PEM\n");
    const std::string broken =
        scratch_file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    libwebsock_tls_options options = good;
    options.keyfile = text.c_str();
    refuses(options, EINVAL, text, "no private key in PEM format");
    options.keyfile = good.certfile;
    refuses(options, EINVAL, good.certfile, "no private key in PEM format");
    options = good;
    options.certfile = text.c_str();
    refuses(options, EINVAL, text, "no certificate in PEM format");
    options.certfile = good.keyfile;
    refuses(options, EINVAL, good.keyfile, "no certificate in PEM format");
    options.certfile = broken.c_str();
    refuses(options, EINVAL, broken, "not a certificate");
    options = good;
    options.client_ca_file = text.c_str();
    refuses(options, EINVAL, text, "no certificate in PEM format");
}

TEST_CASE("a key that does not belong to the certificate is refused")
{
    const CertificateFiles other = default_authority().issue();
    libwebsock_tls_options options = options_for(default_certificate());
    options.keyfile = other.key_file.c_str();
    refuses(options, EINVAL, other.key_file, "key values mismatch");
}

TEST_CASE("an encrypted key is refused, and nobody is asked for its password")
{
    const CertificateFiles locked = default_authority().issue({.passphrase = "sesame"});
    refuses(options_for(locked), EINVAL, locked.key_file, "encrypted");
}

TEST_CASE("a chain that does not hold together is refused")
{
    const Authority root("test root");
    const CertificateFiles good = root.intermediate("test intermediate").issue();
    const CertificateFiles stranger = root.intermediate("a stranger").issue();
    libwebsock_tls_options options = options_for(good);
    options.chainfile = stranger.chain_file.c_str();
    refuses(options, EINVAL, stranger.chain_file, "has issued none of the others");

    const std::string bundle =
        scratch_file(content_of(good.cert_file) + content_of(stranger.cert_file));
    options = options_for(good);
    options.certfile = bundle.c_str();
    refuses(options, EINVAL, bundle, "has issued none of the others");
}

TEST_CASE("a chain file may hold the server's certificate and the root, too")
{
    const Authority root("test root");
    const CertificateFiles good = root.intermediate("test intermediate").issue();
    const std::string all = scratch_file(content_of(good.cert_file) + content_of(good.chain_file) +
                                         content_of(root.ca_file()));
    libwebsock_tls_options options = options_for(good);
    options.chainfile = all.c_str();
    const auto server = serve_tls(options, {.onmessage = echo});
    Client client = open_tls(server->port(), {.ca_file = root.ca_file()});
    client.send_text("trusted");
    CHECK(client.receive_text() == "trusted");
}

TEST_CASE("a certificate that clients will not accept causes a warning")
{
    const auto warns = [](const CertificateFiles &files, const std::string &what) {
        Server server(idle());
        CHECK(libwebsock_bind_ssl(server.context(), "127.0.0.1", "0", files.key_file.c_str(),
                                  files.cert_file.c_str()) == 0);
        CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {files.cert_file, what}));
    };
    using std::chrono::hours;
    warns(default_authority().issue({.not_before = -hours(48), .not_after = -hours(1)}),
          "expired on");
    warns(default_authority().issue({.not_before = hours(1)}), "is not valid before");

    const CertificateFiles &own = default_certificate();
    const libwebsock_tls_host host = {"example.test", own.key_file.c_str(), own.cert_file.c_str(),
                                      nullptr};
    libwebsock_tls_options options = options_for(own);
    options.hosts = &host;
    options.host_count = 1;
    Server server(idle());
    CHECK(libwebsock_bind_tls(server.context(), "127.0.0.1", "0", &options) == 0);
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {own.cert_file, "is not for example.test"}));
}

TEST_CASE("options that make no sense are refused by name")
{
    const libwebsock_tls_options good = options_for(default_certificate());
    libwebsock_tls_options options = good;
    options.size = 1;
    refuses(options, EINVAL, "options->size is 1", "");
    options.size = sizeof options + 8;
    refuses(options, EINVAL, "options->size", "");
    options = good;
    options.keyfile = nullptr;
    refuses(options, EINVAL, "no keyfile", "");
    options = good;
    options.certfile = nullptr;
    refuses(options, EINVAL, "no certfile", "");
    options = good;
    options.client_certificate_demanded = 1;
    refuses(options, EINVAL, "no client_ca_file", "");
    options.client_ca_file = "";
    refuses(options, EINVAL, "client_ca_file is empty", "");
    options = good;
    options.size = offsetof(libwebsock_tls_options, chainfile) + 4;
    refuses(options, EINVAL, "options->size is 28", "");
    options = good;
    options.min_version = 0x0302;
    refuses(options, EINVAL, "min_version", "");
    options = good;
    options.ciphers = "NO-SUCH-CIPHER";
    refuses(options, EINVAL, "NO-SUCH-CIPHER", "no cipher match");
    options = good;
    options.ciphersuites = "TLS_NO_SUCH";
    refuses(options, EINVAL, "TLS_NO_SUCH", "");
    options = good;
    options.host_count = 1;
    refuses(options, EINVAL, "hosts is NULL", "");
    for (const char *name : {"", "*", "*.", "a.*.test", "http://a.test", ".test"}) {
        CAPTURE(name);
        const libwebsock_tls_host host = {name, good.keyfile, good.certfile, nullptr};
        options.hosts = &host;
        refuses(options, EINVAL, std::string("\"") + name + "\" is not a host name", "");
    }
}

TEST_CASE("options from an older header mean the defaults")
{
    libwebsock_tls_options options = options_for(default_certificate());
    options.size = offsetof(libwebsock_tls_options, chainfile);
    options.min_version = 12345; // a field this caller does not know
    const auto server = serve_tls(options, {.onmessage = echo});
    CHECK(is_served(server->port()));
}

TEST_CASE("the functions refuse missing arguments")
{
    Server server(idle());
    libwebsock_context *context = server.context();
    const libwebsock_tls_options options = options_for(default_certificate());
    CHECK(error_of(libwebsock_bind_tls(nullptr, "127.0.0.1", "0", &options)) == EINVAL);
    CHECK(error_of(libwebsock_bind_tls(context, "127.0.0.1", nullptr, &options)) == EINVAL);
    CHECK(error_of(libwebsock_bind_tls(context, "127.0.0.1", "0", nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_bind_ssl(context, "127.0.0.1", "0", nullptr, options.certfile)) ==
          EINVAL);
    CHECK(error_of(libwebsock_bind_ssl_real(context, "127.0.0.1", "0", options.keyfile, nullptr,
                                            nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_reload_ssl(nullptr)) == EINVAL);
}

TEST_CASE("a port in use is reported as for a plain listener")
{
    Server server(tls_behaviour());
    const libwebsock_tls_options options = options_for(default_certificate());
    const std::string port = std::to_string(server.port());
    CHECK(error_of(libwebsock_bind_tls(server.context(), "127.0.0.1", port.c_str(), &options)) ==
          EADDRINUSE);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {port, "in use"}));
}

TEST_SUITE_END();
