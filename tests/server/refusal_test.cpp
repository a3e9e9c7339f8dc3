// refusal_test.cpp: opening handshakes that fail, as seen on the wire and in the log.
// The parser's own cases are in handshake_test.cpp, the hook in request_test.cpp.
#include "tests/support/server.h"

#include <atomic>
#include <doctest/doctest.h>

using namespace test;

namespace {

// A valid upgrade with one line replaced by another.
std::string upgrade_with(const std::string &line, const std::string &replacement)
{
    std::string request = upgrade_request();
    size_t at = request.find(line);
    REQUIRE(at != std::string::npos);
    return request.replace(at, line.size(), replacement);
}

// Checks that a server without room says so: with 503 or, over TLS, where that would take a
// handshake, with an alert.
void expect_no_room(int port)
{
    if (over_tls()) {
        Client client(port, {.tls = {.may_be_refused = true}});
        CHECK(client.drain() == End::refused);
        CHECK(client.tls().alert() == SSL_AD_INTERNAL_ERROR);
        return;
    }
    Client client(port);
    client.send_raw(upgrade_request()); // the answer may come before the request
    HttpAnswer answer = client.receive_http();
    CHECK(answer.status == 503);
    CHECK(answer.header("Retry-After") != "");
    client.drain();
}

} // namespace

TEST_CASE("a request that is no valid upgrade is refused with its status, and logged")
{
    struct Case {
        std::string name;
        std::string request;
        int status;
    };
    const std::string key_line = std::string("Sec-WebSocket-Key: ") + kKey + "\r\n";
    const Case cases[] = {
        {"plain HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
        {"no key", upgrade_with(key_line, ""), 400},
        {"key of the wrong length", upgrade_with(kKey, "c2hvcnQ="), 400},
        {"another version", upgrade_with("Version: 13", "Version: 8"), 426},
        {"no Host", upgrade_with("Host: localhost\r\n", ""), 400},
        {"two Hosts", upgrade_with("Host: localhost\r\n", "Host: a\r\nHost: b\r\n"), 400},
        {"white space before the colon", upgrade_with("Host:", "Host :"), 400},
        {"a bare line feed", upgrade_with("Host: localhost\r\n", "Host: localhost\n"), 400},
        {"no HTTP at all", "\x16\x03\x01\x02\x00\x01", 400},
        {"a header that never ends", "GET / HTTP/1.1\r\nX: " + std::string(17000, 'a'), 431},
    };
    Server server;
    size_t refused = 0;
    for (const Case &wrong : cases) {
        CAPTURE(wrong.name);
        Client client(server.port());
        std::string address = client.address();
        client.send_raw(wrong.request);
        HttpAnswer answer = client.receive_http();
        CHECK(answer.status == wrong.status);
        CHECK(answer.header("Connection").find("close") != std::string::npos);
        CHECK(answer.header("Content-Length") == std::to_string(answer.body.size()));
        if (wrong.status == 426)
            CHECK(answer.header("Sec-WebSocket-Version") == "13");
        client.drain();
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {address}));
        refused++;
        CHECK(eventually([&] { return server.stats().connections_refused == refused; }));
    }
    CHECK(server.events().all().empty());
    Client::open(server.port()); // and the next good one is served
    server.events().wait(Kind::open);
}

TEST_CASE("a handshake that takes too long ends")
{
    Server server(
        {.settings = [](auto *context) { context->handshake_timeout_ms = short_handshake_ms(); }});
    Client silent(server.port());
    Client slow(server.port());
    slow.send_raw("GET / HTTP/1.1\r\nHost:");
    silent.drain();
    slow.drain();
    CHECK(eventually([&] { return server.stats().connections_refused == 2; }));
    CHECK(server.log().has(LIBWEBSOCK_LOG_DEBUG, {silent.address()})); // see log_test.cpp
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {slow.address()}));
    CHECK(server.events().all().empty());
}

TEST_CASE("a client that leaves during its handshake never becomes a client")
{
    Server server;
    {
        Client gone(server.port());
        gone.send_raw("GET / HTTP/1.1\r\n");
    }
    Client reset(server.port());
    reset.send_raw("GET / HTTP/1.1\r\n");
    reset.reset();
    CHECK(eventually([&] { return server.stats().connections_refused == 2; }));
    CHECK(server.events().all().empty());
}

TEST_CASE("a handshake may come byte by byte, with frames right after it")
{
    Server server({.onmessage = echo});
    Client client(server.port());
    for (char byte : upgrade_request())
        client.send_raw({&byte, 1});
    CHECK(client.receive_http().status == 101);

    Client eager(server.port());
    eager.send_raw(upgrade_request() + encode_frame(true, WS_OPCODE_TEXT, "already"));
    CHECK(eager.receive_http().status == 101);
    CHECK(eager.receive_text() == "already");
}

TEST_CASE("max_connections refuses, with 503 and Retry-After or an alert, until someone leaves")
{
    Server server({.settings = [](auto *context) { context->max_connections = 2; }});
    Client first = Client::open(server.port());
    Client second = Client::open(server.port());

    expect_no_room(server.port());
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {}));
    CHECK(eventually([&] { return server.stats().connections_refused == 1; }));

    first.send_close(WS_CLOSE_NORMAL);
    first.drain();
    server.events().wait(Kind::close);
    auto admitted = [&] {
        Client next(server.port(), {.tls = {.may_be_refused = true}});
        if (over_tls() && next.tls().error() != "")
            return false;
        next.send_raw(upgrade_request());
        return next.receive_http().status == 101;
    };
    CHECK(eventually(admitted));
}

TEST_CASE("a refused connection ends even if all workers are in callbacks")
{
    std::atomic<bool> returned = false;
    Server server({.settings =
                       [](auto *context) {
                           context->max_workers = 1;
                           context->max_connections = 2;
                       },
                   .onmessage =
                       [&](Scene &scene, auto *, auto *) {
                           scene.gate.wait();
                           returned = true;
                       }});
    Client blocked = Client::open(server.port());
    blocked.send_text("block");
    server.events().wait(Kind::message);
    const auto is_refused_as_it_should = [&] {
        Client bad(server.port(), {.tls = {.may_be_refused = true}});
        if (over_tls() && bad.tls().error() != "")
            return false; // no room
        bad.send_raw("nonsense\r\n\r\n");
        const int status = bad.receive_http().status;
        bad.drain();
        return status == 400;
    };
    for (int i = 0; i < 3; i++)
        CHECK(eventually(is_refused_as_it_should));
    CHECK_FALSE(returned);
    server.gate().open();
}

TEST_CASE("a smaller max_handshake_bytes is respected")
{
    Server server({.settings = [](auto *context) { context->max_handshake_bytes = 300; }});
    Client::open(server.port());
    Client long_winded(server.port());
    long_winded.send_raw(upgrade_request("/", "X-Padding: " + std::string(300, 'x') + "\r\n"));
    CHECK(long_winded.receive_http().status == 431);
}
