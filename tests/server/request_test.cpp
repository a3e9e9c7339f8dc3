// request_test.cpp: the request hook: what it is told, and everything it can answer. Requests
// refused before they reach it are in refusal_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>

using namespace test;

namespace {

std::string text(const char *value) { return value == nullptr ? "(null)" : value; }

std::string plain(const std::string &method, const std::string &target,
                  const std::string &headers = "")
{
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

using Request = const libwebsock_request *;

} // namespace

TEST_CASE("headers that onrequest adds are in every answer, even one it did not give itself")
{
    Server server({.onrequest = [](Scene &, auto *client, auto *) {
        return libwebsock_add_response_header(client, "X-Served-By", "me") == 0 ? 0 : 500;
    }});
    Client browser(server.port());
    browser.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const HttpAnswer answer = browser.receive_http();
    CHECK(answer.status == 426);
    CHECK(answer.header("X-Served-By") == "me");
    Client client(server.port());
    CHECK(client.handshake().header("X-Served-By") == "me");
}

TEST_CASE("the hook is told method, path, query and headers")
{
    std::string seen;
    Server server({.onrequest = [&seen](Scene &, auto *client, Request request) {
        seen = text(request->method) + "|" + request->path + "|" + request->query + "|" +
               std::to_string(request->is_websocket) + "|" +
               text(libwebsock_request_header(request, "x-one")) + "|" +
               text(libwebsock_request_header(request, "X-MANY")) + "|" +
               (libwebsock_client_request(client) == request ? "same" : "other");
        return 0;
    }});
    Client::open(server.port(), "/a%20b/c?x=1&y=%3F?",
                 "X-One:  spaced out \t\r\nX-Many: a\r\nx-many: b, c\r\n");
    CHECK(seen == "GET|/a%20b/c|x=1&y=%3F?|1|spaced out|a, b, c|same");

    Client::open(server.port(), "/?");
    CHECK(seen == "GET|/||1|(null)|(null)|same");

    Client browser(server.port());
    browser.send_raw(plain("HEAD", "/index.html"));
    CHECK(browser.receive_http(false).status == 426);
    CHECK(seen == "HEAD|/index.html||0|(null)|(null)|same");
}

TEST_CASE("a header that was not sent is ENOENT, a null name is EINVAL")
{
    std::atomic<int> absent = 0;
    std::atomic<int> no_name = 0;
    std::atomic<int> no_request = 0;
    Server server({.onrequest = [&](Scene &, auto *, Request request) {
        auto error = [](const char *value) { return value == nullptr ? errno : 0; };
        absent = error(libwebsock_request_header(request, "X-Absent"));
        no_name = error(libwebsock_request_header(request, nullptr));
        no_request = error(libwebsock_request_header(nullptr, "Host"));
        return 0;
    }});
    Client::open(server.port());
    CHECK(absent == ENOENT);
    CHECK(no_name == EINVAL);
    CHECK(no_request == EINVAL);
}

TEST_CASE("every answer has a Date, which the program may replace, the 101 too")
{
    Server server({.onrequest = [](Scene &, auto *client, Request request) {
        if (request->query == std::string("own"))
            libwebsock_add_response_header(client, "dAte", "Sun, 06 Nov 1994 08:49:37 GMT");
        return request->path == std::string("/refuse") ? 403 : 0;
    }});
    for (const std::string path : {"/", "/refuse"}) {
        CAPTURE(path);
        Client client(server.port());
        client.send_raw(upgrade_request(path));
        const std::string date = client.receive_http().header("Date");
        CHECK(date.size() == 29);
        CHECK(date.ends_with(" GMT"));

        Client other(server.port());
        other.send_raw(upgrade_request(path + "?own"));
        const HttpAnswer answer = other.receive_http();
        CHECK(answer.head.find("\r\ndAte: Sun, 06 Nov 1994 08:49:37 GMT\r\n") != std::string::npos);
        CHECK(answer.head.find("Date:") == std::string::npos);
    }
    Client bad(server.port());
    bad.send_raw(plain("GET", "*"));
    CHECK(bad.receive_http().header("Date") != "");
}

TEST_CASE("an offered subprotocol can be accepted, and the last one accepted counts")
{
    std::atomic<int> not_offered = 0;
    std::atomic<int> other_case = 0;
    std::atomic<int> no_name = 0;
    Server server({.onrequest = [&](Scene &, auto *client, auto *) {
        not_offered = error_of(libwebsock_accept_protocol(client, "soap"));
        other_case = error_of(libwebsock_accept_protocol(client, "CHAT"));
        no_name = error_of(libwebsock_accept_protocol(client, nullptr));
        libwebsock_accept_protocol(client, "superchat");
        libwebsock_accept_protocol(client, "chat");
        return 0;
    }});
    Client client(server.port());
    HttpAnswer answer = client.handshake("/", "Sec-WebSocket-Protocol: superchat\r\n"
                                              "Sec-WebSocket-Protocol: soapy, chat\r\n");
    CHECK(answer.header("Sec-WebSocket-Protocol") == "chat");
    CHECK(not_offered == EINVAL);
    CHECK(other_case == EINVAL); // RFC 6455 4.1: names are case-sensitive
    CHECK(no_name == EINVAL);

    Client without(server.port());
    CHECK(without.handshake().header("Sec-WebSocket-Protocol") == "");
}

TEST_CASE("response headers go with any answer, and cannot smuggle in others")
{
    std::atomic<int> wrong = 0;
    Server server({.onrequest = [&](Scene &, auto *client, Request request) {
        auto add = [&](const char *name, const char *value) {
            return error_of(libwebsock_add_response_header(client, name, value));
        };
        wrong += add("X-Mine", "yes") != 0;
        wrong += add("Set-Cookie", "a=1; Path=/") != 0;
        wrong += add("Set-Cookie", "b=\tg\xc3\xbcltig") != 0;
        wrong += add("X-Split", "a\r\nX-Evil: yes") != EINVAL;
        wrong += add("X-Split", "a\nb") != EINVAL;
        wrong += add("X-Split", "a\rb") != EINVAL;
        wrong += add("X-Split", "a\x7f") != EINVAL;
        wrong += add("X Space", "a") != EINVAL;
        wrong += add("X-Colon:", "a") != EINVAL;
        wrong += add("", "a") != EINVAL;
        wrong += add(nullptr, "a") != EINVAL;
        wrong += add("X-Null", nullptr) != EINVAL;
        for (const char *reserved : {"Connection", "upgrade", "Content-Length", "Transfer-Encoding",
                                     "sec-websocket-accept", "Sec-WebSocket-Extensions"})
            wrong += add(reserved, "a") != EINVAL;
        return request->path == std::string("/refuse") ? 403 : 0;
    }});
    for (const char *target : {"/", "/refuse"}) {
        Client client(server.port());
        client.send_raw(upgrade_request(target));
        HttpAnswer answer = client.receive_http();
        CHECK(answer.header("X-Mine") == "yes");
        CHECK(answer.head.find("a=1; Path=/\r\n") != std::string::npos);
        CHECK(answer.head.find("b=\tg\xc3\xbcltig\r\n") != std::string::npos);
        CHECK(answer.head.find("X-Evil") == std::string::npos);
        CHECK(answer.head.find("X-Split") == std::string::npos);
    }
    CHECK(wrong == 0);
}

TEST_CASE("the hook can serve a page, to GET and, without the body, to HEAD")
{
    Server server({.onrequest = [](Scene &, auto *client, auto *) {
        std::string page = "to be replaced";
        libwebsock_respond(client, 404, "text/plain", page.data(), page.size());
        page = "<h1>hello</h1>";
        int result =
            libwebsock_respond(client, 200, "text/html; charset=utf-8", page.data(), page.size());
        page = "overwritten...";
        return result == 0 ? 0 : 500;
    }});
    Client get(server.port());
    get.send_raw(plain("GET", "/"));
    HttpAnswer answer = get.receive_http();
    CHECK(answer.status == 200);
    CHECK(answer.body == "<h1>hello</h1>");
    CHECK(answer.header("Content-Type") == "text/html; charset=utf-8");
    CHECK(answer.header("Connection") == "close");
    get.expect_eof();

    Client head(server.port());
    head.send_raw(plain("HEAD", "/"));
    answer = head.receive_http(false);
    CHECK(answer.status == 200);
    CHECK(answer.header("Content-Length") == "14");
    head.expect_eof();

    Client upgrade(server.port());
    upgrade.send_raw(upgrade_request());
    CHECK(upgrade.receive_http().body == "<h1>hello</h1>"); // instead of the 101
    upgrade.expect_eof();
    CHECK(server.events().count(Kind::open) == 0);
}

TEST_CASE("a page may be empty or large, and bad ones are refused")
{
    std::atomic<int> wrong = 0;
    const std::string large(3000000, 'p');
    Server server({.onrequest = [&](Scene &, auto *client, Request request) {
        auto respond = [&](int status, const char *type, const char *body, size_t len) {
            return error_of(libwebsock_respond(client, status, type, body, len));
        };
        wrong += respond(199, nullptr, "x", 1) != EINVAL;
        wrong += respond(600, nullptr, "x", 1) != EINVAL;
        wrong += respond(200, nullptr, nullptr, 1) != EINVAL;
        wrong += respond(200, "text/html\r\nX-Evil: yes", "x", 1) != EINVAL;
        if (request->path == std::string("/large"))
            wrong += respond(200, "text/plain", large.data(), large.size()) != 0;
        else
            wrong += respond(404, nullptr, nullptr, 0) != 0;
        return 0;
    }});
    Client empty(server.port());
    empty.send_raw(plain("GET", "/empty"));
    HttpAnswer answer = empty.receive_http();
    CHECK(answer.status == 404);
    CHECK(answer.header("Content-Length") == "0");
    CHECK(answer.header("Content-Type") == "");
    empty.expect_eof();

    Client reader(server.port());
    reader.send_raw(plain("GET", "/large"));
    bool same = reader.receive_http().body == large;
    CHECK(same);
    reader.expect_eof();
    CHECK(wrong == 0);
}

TEST_CASE("HTTP/1.0 health checks and proxies reach the hook, and its answer reaches them")
{
    Server server({.onrequest = [](Scene &, auto *client, Request request) {
        if (request->path == std::string("/health"))
            libwebsock_respond(client, 200, "text/plain", "ok\n", 3);
        return 0;
    }});
    for (const char *request : {"OPTIONS /health HTTP/1.0\r\n\r\n", // HAProxy's option httpchk
                                "GET /health HTTP/1.0\r\nHost: localhost\r\n"
                                "Connection: close\r\n\r\n", // nginx's proxy_pass
                                "HEAD /health HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"}) {
        CAPTURE(request);
        Client client(server.port());
        client.send_raw(request);
        HttpAnswer answer = client.receive_http(request[0] != 'H');
        CHECK(answer.status == 200);
        CHECK(answer.head.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(answer.header("Connection") == "close");
        CHECK(answer.header("Date").ends_with(" GMT"));
        client.expect_eof();
    }
    Client other(server.port());
    other.send_raw("GET /other HTTP/1.0\r\n\r\n");
    CHECK(other.receive_http().status == 426);

    std::string upgrade = upgrade_request("/health");
    upgrade.replace(upgrade.find("HTTP/1.1"), 8, "HTTP/1.0");
    Client late(server.port());
    late.send_raw(upgrade);
    CHECK(late.receive_http().status == 505);
    CHECK(server.events().all(Kind::request).size() == 4);
}

TEST_CASE("upgrades as real clients write them are served, and the hook sees their meaning")
{
    struct Case {
        const char *target, *lines, *seen, *protocol;
    } const cases[] = {
        {"ws://localhost/chat?x", "", "/chat|x", ""},
        {"/chat#room", "", "/chat|", ""},
        {"/caf\xc3\xa9?\xe2\x82\xac", "", "/caf\xc3\xa9|\xe2\x82\xac", ""},
        {"/", "Sec-WebSocket-Protocol:\r\n", "/|", ""},
        {"/", "Sec-WebSocket-Protocol: ogmios.v1:compact\r\n", "/|", "ogmios.v1:compact"},
        {"/", "Sec-WebSocket-Protocol: base64url.bearer/Zm9v=, x\r\n", "/|",
         "base64url.bearer/Zm9v="},
        {"/", "Sec-WebSocket-Protocol: a, a\r\n", "/|", "a"},
        {"/", "Sec-WebSocket-Extensions: bbf-usp-protocol; eid=\"os::002604-X\"\r\n", "/|", ""},
    };
    std::string seen;
    Server server({.onmessage = echo, .onrequest = [&seen](Scene &, auto *client, Request request) {
                       seen = text(request->path) + "|" + request->query;
                       if (const char *offered =
                               libwebsock_request_header(request, "Sec-WebSocket-Protocol")) {
                           const std::string list = offered;
                           (void)libwebsock_accept_protocol(client,
                                                            list.substr(0, list.find(',')).c_str());
                       }
                       return 0;
                   }});
    for (const Case &real : cases) {
        CAPTURE(real.target);
        CAPTURE(real.lines);
        Client client(server.port());
        client.send_raw(upgrade_request(real.target, real.lines));
        HttpAnswer answer = client.receive_http();
        CHECK(answer.status == 101);
        CHECK(seen == real.seen);
        CHECK(answer.header("Sec-WebSocket-Protocol") == real.protocol);
        CHECK(answer.header("Sec-WebSocket-Extensions") == "");
        client.send_text("hello");
        CHECK(client.receive_text() == "hello");
    }
    // a token from a Kubernetes cluster, and more lines than a browser sends.
    Client wordy(server.port());
    std::string lines = "Sec-WebSocket-Protocol: " + std::string(8754, 't') + "\r\n";
    for (int i = 0; i < 200; i++)
        lines += "X-" + std::to_string(i) + ": y\r\n";
    wordy.send_raw(upgrade_request("/", lines));
    CHECK(wordy.receive_http().status == 101);
}

TEST_CASE("the hook can refuse with a status")
{
    for (int status : {400, 401, 403, 404, 429, 500, 503, 599}) {
        CAPTURE(status);
        Server server({.onrequest = [status](Scene &, auto *, auto *) { return status; }});
        for (const std::string &request : {upgrade_request(), plain("GET", "/")}) {
            Client client(server.port());
            client.send_raw(request);
            HttpAnswer answer = client.receive_http();
            CHECK(answer.status == status);
            CHECK(answer.body != "");
            client.expect_eof();
        }
        CHECK(server.events().count(Kind::open) == 0);
        CHECK(eventually([&] { return server.stats().connections_refused == 2; }));
    }
}

TEST_CASE("nothing is answered before the hook has returned")
{
    Server server({.onrequest = [](Scene &scene, auto *, auto *) {
        scene.gate.wait();
        return 0;
    }});
    Client client(server.port());
    client.send_raw(upgrade_request());
    server.events().wait(Kind::request);
    CHECK_FALSE(client.has_input());
    server.gate().open();
    CHECK(client.receive_http().status == 101);
}

TEST_CASE("a hook slower than handshake_timeout_ms costs only its own client")
{
    Server server(
        {.settings = [](auto *context) { context->handshake_timeout_ms = short_handshake_ms(); },
         .onmessage = echo,
         .onrequest =
             [](Scene &scene, auto *, Request request) {
                 if (request->path == std::string("/slow"))
                     scene.gate.wait();
                 return 0;
             }});
    Client slow(server.port());
    slow.send_raw(upgrade_request("/slow"));
    server.events().wait(Kind::request);
    slow.drain(); // perhaps an answer, then the end
    server.gate().open();
    CHECK(eventually([&] { return server.stats().connections_refused == 1; }));
    Client other = Client::open(server.port());
    other.send_text("alive");
    CHECK(other.receive_text() == "alive");
    CHECK(server.events().count(Kind::open) == 1);
}

TEST_CASE("answers cannot be set after the hook")
{
    std::atomic<int> wrong = 0;
    Server server({.onopen =
                       [&wrong](Scene &, auto *client) {
                           auto is_too_late = [](int result) { return error_of(result) == EPERM; };
                           wrong += !is_too_late(libwebsock_accept_protocol(client, "chat"));
                           wrong += !is_too_late(libwebsock_add_response_header(client, "X", "y"));
                           wrong += !is_too_late(libwebsock_respond(client, 200, nullptr, "x", 1));
                       },
                   .onmessage = echo});
    Client client = Client::open(server.port(), "/", "Sec-WebSocket-Protocol: chat\r\n");
    client.send_text("hello");
    CHECK(client.receive_text() == "hello"); // after onopen
    CHECK(wrong == 0);
    CHECK(error_of(libwebsock_respond(nullptr, 200, nullptr, "x", 1)) == EINVAL);
    CHECK(error_of(libwebsock_accept_protocol(nullptr, "chat")) == EINVAL);
    CHECK(error_of(libwebsock_add_response_header(nullptr, "X", "y")) == EINVAL);
}

TEST_CASE("data set in the hook is there in onopen, and the request lasts until after onclose")
{
    std::string seen;
    static int mine = 1;
    Server server(
        {.onopen = [&seen](Scene &,
                           auto *client) { seen = client->data == &mine ? "mine " : "lost "; },
         .onclose =
             [&seen](Scene &, auto *client) {
                 Request request = libwebsock_client_request(client);
                 seen +=
                     text(request->path) + " " + text(libwebsock_request_header(request, "x-name"));
             },
         .onrequest =
             [](Scene &, auto *client, auto *) {
                 client->data = &mine;
                 return 0;
             }});
    {
        Client client = Client::open(server.port(), "/room/7", "X-Name: somebody\r\n");
    }
    server.events().wait(Kind::close);
    CHECK(seen == "mine /room/7 somebody");
}
