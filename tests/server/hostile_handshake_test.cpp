// hostile_handshake_test.cpp: connections that misbehave before the upgrade: silent, slow, in
// crowds, or with requests made to be misread. What the parser refuses is in
// handshake_refusal_test.cpp; here it is what that does to the server and to other clients.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

using namespace test;

namespace {

const Client::Options kBare{.transport = Transport::plain}; // no TLS, whatever the port expects

// A beginning without an end: of a request or, with TLS, of a ClientHello of 16 KiB.
std::string endless_beginning()
{
    if (over_tls())
        return std::string("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", 11);
    return "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
}

const std::string kSecond = "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n";

} // namespace

TEST_CASE("thousands of connections that say nothing hold back nobody, and end at the deadline")
{
    Server server({.settings =
                       [](auto *context) {
                           context->handshake_timeout_ms = 2500;
                           context->max_handshakes = 0;
                       },
                   .onmessage = echo});
    Bystander bystander(server.port());
    const size_t count = crowd(5000, 1000);
    std::vector<Client> silent = connect_many(count, server.port(), kBare);
    CHECK(bystander.is_served());
    Client::open(server.port());
    CHECK(eventually([&] { return server.stats().connections_refused == count; }));
    for (Client &client : silent)
        client.drain();
    CHECK(bystander.is_served());
    CHECK(server.events().count(Kind::open) == 2);
}

TEST_CASE("a handshake that trickles in ends at the deadline, however steadily it comes")
{
    constexpr size_t kSlow = 20;
    Server server(
        {.settings = [](auto *context) { context->handshake_timeout_ms = short_handshake_ms(); },
         .onmessage = echo});
    Bystander bystander(server.port());
    std::vector<Client> slow = connect_many(kSlow, server.port(), kBare);
    const std::string beginning = endless_beginning();
    // One byte each, as fast as the bystander is answered.
    const auto trickle = [&](size_t i) {
        const char byte = i < beginning.size() ? beginning[i] : 'x';
        size_t open = 0;
        for (Client &client : slow)
            open += send_if_open(client, {&byte, 1});
        return open > 0;
    };
    const Clock::time_point deadline = Clock::now() + kDeadline;
    size_t bytes = 0;
    while (trickle(bytes) && Clock::now() < deadline) {
        REQUIRE(bystander.is_served());
        bytes++;
    }
    CHECK(Clock::now() < deadline);
    CHECK(eventually([&] { return server.stats().connections_refused == kSlow; }));
    const libwebsock_statistics stats = server.stats();
    CHECK((over_tls() ? stats.refused_tls : stats.refused_late) == kSlow);
    if (!over_tls())
        CHECK(slow[0].receive_http().status == 408);
}

TEST_CASE("a hundred thousand headers hold back nobody, and are not even read if they are too long")
{
    std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    for (int i = 0; i < 100000; i++)
        request += "X-" + std::to_string(i) + ": x\r\n";
    request += "\r\n";
    for (const size_t limit : {size_t{16384}, size_t{16} << 20}) {
        CAPTURE(limit);
        Server server({.settings = [=](auto *context) { context->max_handshake_bytes = limit; },
                       .onmessage = echo});
        Bystander bystander(server.port());
        Client client(server.port());
        client.send_raw(request);
        CHECK(bystander.is_served());
        const bool too_long = limit < request.size();
        CHECK(client.receive_http().status == (too_long ? 431 : 426));
        client.drain();
        if (too_long)
            CHECK(server.stats().bytes_in < request.size() / 2);
        CHECK(eventually([&] { return server.stats().refused_request == 1; }));
    }
}

TEST_CASE("a request that follows a refused one is ignored")
{
    Server server({.onrequest = [](Scene &, auto *client, auto *request) {
        if (std::string_view(request->path) == "/page")
            libwebsock_respond(client, 200, "text/plain", "hello", 5);
        return std::string_view(request->path) == "/forbidden" ? 403 : 0;
    }});
    const struct {
        const char *name;
        std::string request;
        int status;
    } cases[] = {
        {"an upgrade without a key",
         "GET /first HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         400},
        {"a forbidden upgrade", upgrade_request("/forbidden"), 403},
        {"plain HTTP that is answered", "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
        {"plain HTTP that is not", "GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
        {"an upgrade with a body of that length",
         upgrade_request("/first", "Content-Length: " + std::to_string(kSecond.size()) + "\r\n"),
         400},
        {"an upgrade with a body in chunks",
         upgrade_request("/first", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
        {"both lengths", upgrade_request("/first", "Content-Length: 0\r\nTransfer-Encoding: x\r\n"),
         400},
        {"two lengths", upgrade_request("/first", "Content-Length: 0\r\nContent-Length: 4\r\n"),
         400},
        {"a length in disguise",
         upgrade_request("/first",
                         "Content-Length\x0b: " + std::to_string(kSecond.size()) + "\r\n"),
         400},
        {"a body of plain HTTP",
         "POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
             std::to_string(kSecond.size()) + "\r\n\r\n",
         413},
    };
    for (const auto &first : cases) {
        CAPTURE(first.name);
        Client client(server.port());
        client.send_raw(first.request + kSecond);
        const HttpAnswer answer = client.receive_http();
        CHECK(answer.status == first.status);
        CHECK(answer.header("Connection").find("close") != std::string::npos);
        client.expect_eof(); // and no second answer
    }
    for (const Event &request : server.events().all(Kind::request))
        CHECK(request.text != "/second");
}

TEST_CASE("a request that follows an accepted upgrade is a bad frame")
{
    Server server;
    for (const char *header : {"", "Content-Length: 0\r\n", "Expect: 100-continue\r\n"}) {
        CAPTURE(header);
        Client client(server.port());
        client.send_raw(upgrade_request("/", header) + kSecond);
        CHECK(client.receive_http().status == 101);
        CHECK(client.receive_close().code == WS_CLOSE_PROTOCOL_ERROR);
        client.expect_eof();
    }
}
