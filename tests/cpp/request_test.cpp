// request_test.cpp: requests: what a client asked for, and how on_request answers. What comes after
// the upgrade is in messages_test.cpp.
#include "running.h"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace test;

namespace {

// Sends a request and reads the answer, whatever it is.
HttpAnswer ask(const websock::Server &server, std::string_view request)
{
    Client client(server.port());
    client.send_raw(request);
    return client.receive_http();
}

constexpr std::string_view kPage = "GET /page?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

} // namespace

TEST_CASE("a request has a method, a path, a query and headers")
{
    websock::Server server;
    Told<std::vector<std::string>> told;
    server.on_request([&](const websock::Client &, const websock::Request &request) {
        told.tell({std::string(request.method()), std::string(request.path()),
                   std::string(request.query()), std::string(request.header("x-NAME").value()),
                   request.header("X-Other") ? "there" : "not there",
                   request.header(std::string(1000, 'x')) ? "there" : "not there",
                   request.is_websocket() ? "websocket" : "http"});
    });
    Running running(server);
    Client client = running.connect("/chat?room=1", "X-Name: Ada\r\n");
    CHECK(told.get() == std::vector<std::string>{"GET", "/chat", "room=1", "Ada", "not there",
                                                 "not there", "websocket"});
}

TEST_CASE("a request has parameters, cookies and all its headers, decoded")
{
    websock::Server server;
    Told<std::vector<std::string>> told;
    server.on_request([&](const websock::Client &, const websock::Request &request) {
        std::vector<std::string> found;
        request.for_each_header([&](std::string_view name, std::string_view value) {
            if (name == "X-Name")
                found.emplace_back(value);
        });
        found.push_back(request.query_parameter("room").value_or("none"));
        found.push_back(request.query_parameter("no").value_or("none"));
        found.push_back(request.cookie("id").value_or("none"));
        found.push_back(request.cookie("no").value_or("none"));
        told.tell(found);
    });
    Running running(server);
    Client client = running.connect("/?room=a%20b+c", "X-Name: Ada\r\nX-Name: Bob\r\nCookie: "
                                                      "x=1; id=%41\r\n");
    CHECK(told.get() == std::vector<std::string>{"Ada", "Bob", "a b c", "none", "A", "none"});
}

TEST_CASE("an exception ends the walk through the headers, and comes through")
{
    websock::Server server;
    int headers = 0;
    server.on_request([&](const websock::Client &, const websock::Request &request) {
        request.for_each_header([&](std::string_view, std::string_view) {
            ++headers;
            throw std::runtime_error("enough");
        });
    });
    Running running(server);
    CHECK(ask(server, upgrade_request()).status == 500);
    running.stop();
    CHECK(headers == 1);
}

TEST_CASE("a request of plain HTTP may have a body")
{
    websock::Server server({.max_request_body = 100});
    server.on_request([](const websock::Client &client, const websock::Request &request) {
        client.respond(200, "text/plain", request.body());
    });
    Running running(server);
    CHECK(
        ask(server, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").body ==
        "hello");
}

TEST_CASE("a client has its request from on_open on")
{
    websock::Server server;
    server.on_open([](const websock::Client &client) { client.send(client.request().path()); });
    Running running(server);
    Client client = running.connect("/here");
    CHECK(client.receive_text() == "/here");
}

TEST_CASE("on_request refuses with the status that it returns")
{
    websock::Server server;
    server.on_request([](const websock::Client &, const websock::Request &request) {
        return request.path() == "/chat" ? websock::accepted : 403;
    });
    Running running(server);
    CHECK(ask(server, upgrade_request("/secret")).status == 403);
    CHECK(ask(server, upgrade_request("/chat")).status == 101);
}

TEST_CASE("on_request serves a page on the same port")
{
    websock::Server server;
    server.on_request([](const websock::Client &client, const websock::Request &request) {
        if (request.is_websocket())
            return;
        client.add_response_header("X-Name", "Ada");
        client.respond(200, "text/plain", "hello");
    });
    Running running(server);
    const HttpAnswer answer = ask(server, kPage);
    CHECK(answer.status == 200);
    CHECK(answer.body == "hello");
    CHECK(answer.header("X-Name") == "Ada");
    CHECK(answer.header("Content-Type") == "text/plain");
    CHECK(ask(server, upgrade_request()).status == 101);
}

TEST_CASE("on_request accepts a subprotocol, and refuses compression")
{
    websock::Server server({.compression = {.level = 3}});
    Told<std::vector<int>> codes;
    server.on_request([&](const websock::Client &client, const websock::Request &) {
        client.accept_protocol("chat");
        client.refuse_compression();
        codes.tell({client.try_accept_protocol("other").value(),
                    thrown_by([&] { client.add_response_header("Connection", "x"); })});
    });
    Running running(server);
    Client client(server.port(), {.extensions = "permessage-deflate"});
    const HttpAnswer answer = client.handshake("/", "Sec-WebSocket-Protocol: news, chat\r\n");
    CHECK(answer.header("Sec-WebSocket-Protocol") == "chat");
    CHECK(answer.header("Sec-WebSocket-Extensions").empty());
    CHECK(codes.get() == std::vector<int>{EINVAL, EINVAL});
}

TEST_CASE("an exception out of on_request refuses with 500")
{
    websock::Server server;
    Lines log(server);
    server.on_request([](const websock::Client &, const websock::Request &) -> int {
        throw std::runtime_error("no database");
    });
    Running running(server);
    CHECK(ask(server, upgrade_request()).status == 500);
    CHECK(log.has("on_request threw an exception: no database"));
}

TEST_CASE("on_request chooses a client's style: messages, parts or a session")
{
    websock::Server server;
    server.on_request([](const websock::Client &client, const websock::Request &request) {
        if (request.path() == "/messages")
            client.serve_as(websock::Style::messages);
        if (request.path() == "/parts")
            client.serve_as(websock::Style::parts);
    });
    server.on_message(
        [](const websock::Client &client, std::string_view) { client.send("message"); });
    server.on_part(
        [](const websock::Client &client, const websock::Part &) { client.send("part"); });
    server.on_session([](const websock::Session &session) {
        for (const auto &message : session)
            session.send(message.is_text() ? "session" : "binary session");
    });
    Running running(server);
    for (const std::string style : {"message", "part", "session"}) {
        Client client = running.connect("/" + style + "s");
        client.send_text("x");
        CHECK(client.receive_text() == style);
    }
}

TEST_CASE("a style can only be chosen in on_request")
{
    websock::Server server;
    server.on_session([](const websock::Session &session) {
        session.send(std::to_string(session.try_serve_as(websock::Style::messages).value()));
    });
    Told<int> code;
    server.on_open([&](const websock::Client &client) {
        code.tell(thrown_by([&] { client.serve_as(websock::Style::messages); }));
    });
    Running running(server);
    Client client = running.connect();
    CHECK(code.get() == EPERM);
    CHECK(client.receive_text() == std::to_string(EPERM));
}

TEST_CASE("a style for which the server has no callback is refused")
{
    websock::Server server;
    Told<int> code;
    server.on_request([&](const websock::Client &client, const websock::Request &) {
        code.tell(client.try_serve_as(websock::Style::session).value());
    });
    Running running(server);
    Client client = running.connect();
    CHECK(code.get() == EINVAL);
}
