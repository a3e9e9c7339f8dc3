// tls_reload_test.cpp: certificates that are replaced while a server runs.
#include "tests/support/tls_server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <future>

using namespace test;

namespace {

// Files that can be overwritten, like those of a real server.
class Installed
{
  public:
    explicit Installed(const CertificateFiles &files) { replace(files); }

    void replace(const CertificateFiles &files)
    {
        copy(files.key_file, key_);
        copy(files.cert_file, cert_);
    }
    void break_key() { std::filesystem::resize_file(key_, 10); }

    const std::string &key() const { return key_; }
    const std::string &cert() const { return cert_; }

  private:
    static void copy(const std::string &from, const std::string &to)
    {
        std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    }

    std::string key_ = scratch_file("");
    std::string cert_ = scratch_file("");
};

struct Reloadable {
    explicit Reloadable(Behaviour behaviour = {})
    {
        behaviour.bind = behaviour.start = false;
        server = std::make_unique<Server>(std::move(behaviour));
        REQUIRE(libwebsock_bind_ssl(server->context(), "127.0.0.1", "0", installed.key().c_str(),
                                    installed.cert().c_str()) == 0);
        server->start();
    }

    Authority old_authority{"the old root"};
    Authority new_authority{"the new root"};
    Installed installed{old_authority.issue()};
    std::unique_ptr<Server> server;

    Client open(const Authority &trusted, Session session = nullptr)
    {
        return open_tls(server->port(),
                        {.ca_file = trusted.ca_file(), .session = std::move(session)});
    }
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("new connections get the new certificate, old ones keep theirs")
{
    Reloadable at({.onmessage = echo});
    Client old = at.open(at.old_authority);
    at.installed.replace(at.new_authority.issue());
    REQUIRE(libwebsock_reload_ssl(at.server->context()) == 0);
    Client young = at.open(at.new_authority);
    for (Client *client : {&old, &young}) {
        client->send_text("hello");
        CHECK(client->receive_text() == "hello");
    }
    CHECK(at.server->log().lines().size() == 2); // "open", twice
}

TEST_CASE("bad files are reported, and the certificates stay in use")
{
    Reloadable at({.onmessage = echo});
    at.installed.replace(at.new_authority.issue());
    at.installed.break_key();
    CHECK(error_of(libwebsock_reload_ssl(at.server->context())) == EINVAL);
    CHECK(at.server->log().has(LIBWEBSOCK_LOG_ERROR,
                               {"not reloaded", at.installed.key(), "no private key"}));
    Client client = at.open(at.old_authority);
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
}

TEST_CASE("one bad listener keeps all of them as they are")
{
    Reloadable at;
    Installed second(at.old_authority.issue());
    REQUIRE(libwebsock_bind_ssl(at.server->context(), "127.0.0.1", "0", second.key().c_str(),
                                second.cert().c_str()) == 0);
    at.installed.replace(at.new_authority.issue()); // the first one is good
    std::filesystem::remove(second.cert());
    CHECK(error_of(libwebsock_reload_ssl(at.server->context())) == ENOENT);
    CHECK(at.server->log().has(LIBWEBSOCK_LOG_ERROR, {"not reloaded", second.cert()}));
    at.open(at.old_authority);
}

TEST_CASE("a ticket from before a reload leads to a full handshake")
{
    Reloadable at({.onmessage = echo});
    Client old = at.open(at.old_authority);
    old.send_text("a ticket, please");
    old.receive_text();
    REQUIRE(libwebsock_reload_ssl(at.server->context()) == 0);
    Client young = at.open(at.old_authority, old.tls().session());
    young.tls().with_ssl([](SSL *ssl) { CHECK(SSL_session_reused(ssl) == 0); });
}

TEST_CASE("reload needs a TLS listener and a running server")
{
    Server plain({.transport = Transport::plain});
    CHECK(error_of(libwebsock_reload_ssl(plain.context())) == EINVAL);
    CHECK(plain.log().has(LIBWEBSOCK_LOG_ERROR, {"no listener has TLS"}));
    Server stopped(tls_behaviour());
    CHECK(stopped.stop_and_join() == 0);
    CHECK(error_of(libwebsock_reload_ssl(stopped.context())) == ESHUTDOWN);
}

TEST_CASE("certificates can be reloaded before the server starts")
{
    Authority authority("test root");
    Installed installed(default_certificate());
    Server server({.onmessage = echo, .bind = false, .start = false});
    REQUIRE(libwebsock_bind_ssl(server.context(), "127.0.0.1", "0", installed.key().c_str(),
                                installed.cert().c_str()) == 0);
    installed.replace(authority.issue());
    CHECK(libwebsock_reload_ssl(server.context()) == 0);
    server.start();
    open_tls(server.port(), {.ca_file = authority.ca_file()});
}

TEST_CASE("reloading while 200 connections are busy loses none of them")
{
    constexpr size_t kClients = 200;
    constexpr int kReloads = 20;
    Reloadable at({.onmessage = echo});
    std::vector<Client> clients;
    for (size_t i = 0; i < kClients; i++)
        clients.push_back(at.open(at.old_authority));

    std::atomic<bool> stop = false;
    std::atomic<size_t> wrong = 0;
    // Each thread keeps half of them talking without a pause.
    const auto talk = [&](size_t from, size_t to) {
        size_t round = 0;
        do {
            const std::string text = "round " + std::to_string(round++);
            for (size_t i = from; i < to; i++)
                clients[i].send_text(text);
            for (size_t i = from; i < to; i++)
                wrong += clients[i].receive_text() != text;
        } while (!stop);
    };
    auto first = std::async(std::launch::async, talk, 0, kClients / 2);
    auto second = std::async(std::launch::async, talk, kClients / 2, kClients);
    for (int i = 0; i < kReloads; i++) {
        const Authority &authority = i % 2 == 0 ? at.new_authority : at.old_authority;
        at.installed.replace(authority.issue());
        CHECK(libwebsock_reload_ssl(at.server->context()) == 0);
        Client client = at.open(authority);
        client.send_text("new here");
        CHECK(client.receive_text() == "new here");
    }
    stop = true;
    first.get();
    second.get();
    CHECK(wrong == 0);
    CHECK(at.server->events().count(Kind::open) == kClients + kReloads);
    for (Client &client : clients) {
        client.send_close(1000);
        CHECK(client.receive_close().code == 1000);
    }
    for (const Event &event : at.server->events().all(Kind::close))
        CHECK((event.code == 1000 || event.code == WS_CLOSE_DIRTY)); // the new ones just left
}

TEST_SUITE_END();
