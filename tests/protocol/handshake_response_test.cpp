// handshake_response_test.cpp: the answers to requests. Where the library chooses the
// order of the headers, they are compared to the byte.
#include "protocol/handshake.h"

#include <doctest/doctest.h>

#include <chrono>
#include <clocale>
#include <string>
#include <string_view>

using namespace websock;
using namespace std::literals;

namespace {

void parse_sample(Request &request)
{
    const Refusal refusal = request.parse("GET /chat HTTP/1.1\r\n"
                                          "Host: server.example.com\r\n"
                                          "Upgrade: websocket\r\n"
                                          "Connection: Upgrade\r\n"
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                          "Sec-WebSocket-Protocol: chat, superchat\r\n"
                                          "Sec-WebSocket-Version: 13\r\n"
                                          "\r\n");
    REQUIRE(refusal.status == 0);
}

constexpr std::chrono::sys_seconds kNow(784111777s);
const std::string kDate = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"; // RFC 9110 5.6.7's example

// The response without its Date, which must be there.
std::string without_date(std::string response)
{
    const size_t at = response.find(kDate);
    REQUIRE(at != std::string::npos);
    return response.erase(at, kDate.size());
}

std::string text_of(const HttpDate &date) { return date.text; }

std::string body_of(const std::string &response)
{
    return response.substr(response.find("\r\n\r\n") + 4);
}

bool has_line(const std::string &response, const std::string &line)
{
    return response.substr(0, response.find("\r\n\r\n") + 2).find("\r\n" + line + "\r\n") !=
           std::string::npos;
}

bool mentions(const std::string &response, const std::string &text)
{
    return response.find(text) != std::string::npos;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the key of RFC 6455 1.3 gives the accept value of RFC 6455 1.3")
{
    CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

// RFC 7692 5: "A server declining all offered PMCEs MUST NOT include any element ..."
TEST_CASE("an upgrade is answered with 101, the accept value, what was chosen and what is added")
{
    Request request;
    parse_sample(request);
    CHECK(upgrade_response(request, "chat", "x; y", {{"Set-Cookie", "a=b"}, {"X-Two", "2"}},
                           kNow) == "HTTP/1.1 101 Switching Protocols\r\n"
                                    "Upgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                    "Sec-WebSocket-Protocol: chat\r\n"
                                    "Sec-WebSocket-Extensions: x; y\r\n" +
                                        kDate +
                                        "Set-Cookie: a=b\r\n"
                                        "X-Two: 2\r\n"
                                        "\r\n");
    CHECK(upgrade_response(request, "", "", {}, kNow) ==
          "HTTP/1.1 101 Switching Protocols\r\n"
          "Upgrade: websocket\r\n"
          "Connection: Upgrade\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
              kDate + "\r\n");
}

TEST_CASE("a plain answer has its length and closes the connection")
{
    CHECK(without_date(plain_response(200, "text/html", "<p>hi", {{"X-One", "1"}}, false, kNow)) ==
          "HTTP/1.1 200 OK\r\n"
          "Connection: close\r\n"
          "Content-Type: text/html\r\n"
          "Content-Length: 5\r\n"
          "X-One: 1\r\n"
          "\r\n"
          "<p>hi");
    const std::string bytes = plain_response(200, "", "\0\r\n\xff"sv, {}, false, kNow);
    CHECK(body_of(bytes) == "\0\r\n\xff"sv);
    CHECK_FALSE(mentions(bytes, "Content-Type"));
    CHECK(has_line(plain_response(404, "", "", {}, false, kNow), "Content-Length: 0"));
}

TEST_CASE("a date is written as RFC 9110 5.6.7 has it, whatever the locale")
{
    using namespace std::chrono;
    CHECK(text_of(HttpDate(sys_seconds(784111777s))) ==
          "Sun, 06 Nov 1994 08:49:37 GMT"); // its example
    CHECK(text_of(HttpDate(sys_seconds(0s))) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(text_of(HttpDate(sys_seconds(951868799s))) == "Tue, 29 Feb 2000 23:59:59 GMT");
    CHECK(text_of(HttpDate(sys_seconds(4102444800s))) == "Fri, 01 Jan 2100 00:00:00 GMT");
    const std::string before = std::setlocale(LC_ALL, nullptr);
    for (const char *name : {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"}) // those that are there
        (void)std::setlocale(LC_ALL, name);
    CHECK(text_of(HttpDate(sys_seconds(784111777s))) == "Sun, 06 Nov 1994 08:49:37 GMT");
    std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE(
    "every answer has one Date: upgrades, plain ones and refusals; the program's takes its place")
{
    for (int status : {200, 204, 205, 301, 304, 404, 426, 500, 503}) {
        CAPTURE(status);
        CHECK_FALSE(
            mentions(without_date(plain_response(status, "", "", {}, false, kNow)), "Date"));
        CHECK_FALSE(mentions(without_date(plain_response(status, "", "", {}, true, kNow)), "Date"));
    }
    CHECK_FALSE(mentions(without_date(refusal_response({400, "x"}, false, {}, kNow)), "Date"));
    Request request;
    parse_sample(request);
    CHECK_FALSE(mentions(without_date(upgrade_response(request, "chat", "", {}, kNow)), "Date"));
    const std::string own = plain_response(200, "", "", {{"dATE", "yesterday"}}, false, kNow);
    const std::string upgrade = upgrade_response(request, "", "", {{"dATE", "yesterday"}}, kNow);
    for (const std::string &response : {own, upgrade}) {
        CHECK(has_line(response, "dATE: yesterday"));
        CHECK_FALSE(mentions(response, "Date"));
    }
}

TEST_CASE("the answer to HEAD has the length of the body and not the body")
{
    const std::string response = plain_response(200, "text/plain", "hello", {}, true, kNow);
    CHECK(has_line(response, "Content-Length: 5"));
    CHECK(body_of(response) == "");
}

TEST_CASE("204 and 304 have neither body nor length, and 205 an empty body")
{
    for (int status : {204, 304}) {
        const std::string response = plain_response(status, "text/plain", "hello", {}, false, kNow);
        CHECK_FALSE(mentions(response, "Content-"));
        CHECK(body_of(response) == "");
        CHECK(has_line(response, "Connection: close"));
    }
    const std::string reset = plain_response(205, "", "hello", {}, false, kNow);
    CHECK(has_line(reset, "Content-Length: 0"));
    CHECK(body_of(reset) == "");
}

TEST_CASE("a Content-Type among the added headers goes before the argument")
{
    const std::string response =
        plain_response(200, "text/plain", "x", {{"content-type", "text/html"}}, false, kNow);
    CHECK(has_line(response, "content-type: text/html"));
    CHECK_FALSE(mentions(response, "text/plain"));
}

TEST_CASE("426 names the protocol and version to upgrade to")
{
    const std::string response = plain_response(426, "", "", {}, false, kNow);
    CHECK(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    CHECK(has_line(response, "Upgrade: websocket"));
    CHECK(has_line(response, "Connection: Upgrade, close"));
    CHECK(has_line(response, "Sec-WebSocket-Version: 13"));
    CHECK_FALSE(mentions(plain_response(400, "", "", {}, false, kNow), "Sec-WebSocket-Version"));
}

TEST_CASE("503 asks to come back in a second, if nothing else was said")
{
    CHECK(has_line(plain_response(503, "", "", {}, false, kNow), "Retry-After: 1"));
    const std::string response = plain_response(503, "", "", {{"retry-after", "30"}}, false, kNow);
    CHECK(has_line(response, "retry-after: 30"));
    CHECK_FALSE(mentions(response, "Retry-After"));
    CHECK_FALSE(mentions(plain_response(500, "", "", {}, false, kNow), "Retry-After"));
}

TEST_CASE("a refusal says why in one line of text")
{
    const std::string response = refusal_response({400, "folded header line"}, false, {}, kNow);
    CHECK(response.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(has_line(response, "Content-Type: text/plain; charset=utf-8"));
    CHECK(has_line(response, "Content-Length: 19"));
    CHECK(has_line(response, "Connection: close"));
    CHECK(body_of(response) == "folded header line\n");
    CHECK(body_of(refusal_response({400, "folded header line"}, true, {}, kNow)) == "");
}

TEST_CASE("405 says that GET is allowed, and 426 which version")
{
    CHECK(has_line(refusal_response({405, "x"}, false, {}, kNow), "Allow: GET"));
    CHECK(has_line(refusal_response({426, "x"}, false, {}, kNow), "Sec-WebSocket-Version: 13"));
    CHECK_FALSE(mentions(refusal_response({400, "x"}, false, {}, kNow), "Allow"));
}

TEST_CASE("every status this library answers with has its text")
{
    CHECK(status_text(404) == "Not Found"sv);
    for (int status : {101, 200, 204, 400, 403, 405, 408, 413, 426, 431, 500, 503, 505}) {
        CAPTURE(status);
        CHECK(status_text(status) != "Unknown"sv);
    }
    CHECK(status_text(299) == "Unknown"sv);
    CHECK(plain_response(299, "", "", {}, false, kNow).starts_with("HTTP/1.1 299 Unknown\r\n"));
}

TEST_CASE("a header name is a token")
{
    CHECK(is_header_token("X-Custom_1"));
    CHECK(is_header_token("!#$%&'*+-.^_`|~09azAZ"));
    CHECK_FALSE(is_header_token(""));
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const bool separator = byte <= ' ' || byte >= 0x7f ||
                               "\"(),/:;<=>?@[\\]{}"sv.find(c) != std::string_view::npos;
        if (is_header_token(std::string_view(&c, 1)) == separator) {
            FAIL_CHECK("byte ", byte);
        }
    }
}

TEST_CASE("a header value has no control characters but tab")
{
    CHECK(is_header_value(""));
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const bool control = (byte < ' ' && byte != '\t') || byte == 0x7f;
        if (is_header_value(std::string("a") + c) == control) {
            FAIL_CHECK("byte ", byte);
        }
    }
}

TEST_CASE("the headers the library writes itself are reserved, in any case")
{
    for (const char *name : {"Connection", "upgrade", "CONTENT-LENGTH", "Transfer-Encoding",
                             "Sec-WebSocket-Accept", "sec-websocket-anything"}) {
        CAPTURE(name);
        CHECK(is_reserved_header(name));
    }
    for (const char *name : {"Content-Type", "Set-Cookie", "Sec-WebSocket", "X-Connection", ""}) {
        CAPTURE(name);
        CHECK_FALSE(is_reserved_header(name));
    }
}

TEST_SUITE_END();
