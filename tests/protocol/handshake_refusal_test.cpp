// handshake_refusal_test.cpp: the requests that must be refused by RFC 6455 4.2.1 or
// RFC 9112, and the status each of them gets.
#include "protocol/handshake.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace websock;

namespace {

const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";
const std::string kUpgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

// The status a header block is refused with; 0 if it is not refused.
int status_of(const std::string &block)
{
    Guarded memory(block);
    Request request;
    const Refusal refusal = request.parse(memory.text());
    CHECK((refusal.status == 0) == (refusal.reason == std::string_view()));
    if (refusal.status != 0) {
        CHECK_FALSE(request.is_websocket());
    }
    return refusal.status;
}

int status_of_line(const std::string &request_line)
{
    return status_of(request_line + "\r\nHost: h\r\n\r\n");
}

int status_with(const std::string &headers)
{
    return status_of("GET / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n");
}

int status_of_upgrade(const std::string &headers) { return status_with(kUpgrade + headers); }

int status_of_key(const std::string &key)
{
    return status_of_upgrade(kVersion + "Sec-WebSocket-Key: " + key + "\r\n");
}

using namespace std::literals;

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the blocks these tests vary are accepted as they are")
{
    CHECK(status_of_line("GET / HTTP/1.1") == 0);
    CHECK(status_with("") == 0);
    CHECK(status_of_upgrade(kVersion + kKey) == 0);
}

TEST_CASE("a malformed request line is refused with 400")
{
    for (const char *line :
         {"", "GET", "GET /", "GET / ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
          " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET /a b HTTP/1.1", "G(T / HTTP/1.1",
          "GET / http/1.1", "GET / HTTP/1.", "GET / HTTP/11", "GET / HTTP/1.10", "GET / HTTP 1.1",
          "GET / FTP/1.1", " / HTTP/1.1", "GET HTTP/1.1"}) {
        CAPTURE(line);
        CHECK(status_of_line(line) == 400);
    }
}

TEST_CASE("a request target that is no path is refused with 400")
{
    for (const char *target : {"*",     "chat",    "?x",        "h:443",           "/\x7f",
                               "/\t",   "http://", "http:///a", "http://?x",       "http://u@h/",
                               "http",  "http:",   "://h/",     "ftp://h/",        "wsx://h/",
                               "ws:/h", "ws://",   "wss:///a",  "ws://u@h/",       "ws://#a",
                               "#",     "#/a",     "\xc3\xa9",  "http://\xc3\xa9/"}) {
        CAPTURE(target);
        CHECK(status_of_line("GET "s + target + " HTTP/1.1") == 400);
    }
    CHECK(status_of_line("GET /\0 HTTP/1.1"s) == 400);
}

TEST_CASE("HTTP before 1.0 and from 2.0 on is refused with 505, an upgrade with 1.0 too")
{
    const std::string upgrade = "\r\nHost: h\r\n" + kUpgrade + kVersion + kKey + "\r\n";
    for (const char *version : {"0.9", "2.0", "2.1", "3.0"}) {
        CAPTURE(version);
        CHECK(status_of_line("GET / HTTP/"s + version) == 505);
        CHECK(status_of("GET / HTTP/"s + version + upgrade) == 505);
    }
    for (const char *version : {"1.1", "1.2", "1.9"}) { // as good as 1.1, RFC 9110 2.5
        CAPTURE(version);
        CHECK(status_of_line("GET / HTTP/"s + version) == 0);
        CHECK(status_of("GET / HTTP/"s + version + upgrade) == 0);
    }
    CHECK(status_of_line("GET / HTTP/1.0") == 0);
    CHECK(status_of("GET / HTTP/1.0" + upgrade) == 505);
    CHECK(status_of("POST / HTTP/1.0\r\n" + kUpgrade + "\r\n") == 505);
    CHECK(status_of("PRI * HTTP/2.0\r\n\r\n") == 505);
}

TEST_CASE("a malformed header line is refused with 400")
{
    for (const char *line :
         {"NoColon", ": v", "A : v", "A\t: v", " A: v", "A B: v", "A\xe9: v", "A(: v", "A: b\x01",
          "A: b\x7f", "A: b\rc", "A: b\nB: c", "\n", "\r"}) {
        CAPTURE(line);
        CHECK(status_with(line + "\r\n"s) == 400);
    }
    CHECK(status_with("A: \0\r\n"s) == 400);
}

TEST_CASE("a folded header line is refused with 400")
{
    CHECK(status_with("A: b\r\n c\r\n") == 400);
    CHECK(status_with("A: b\r\n\tc: d\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\n Host: h\r\n\r\n") == 400);
}

TEST_CASE("a block without its blank line is refused with 400")
{
    const std::string block = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (size_t len = 0; len < block.size(); ++len) {
        CAPTURE(len);
        CHECK(status_of(block.substr(0, len)) == 400);
    }
}

TEST_CASE("a request without exactly one valid Host is refused with 400")
{
    CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    CHECK(status_of("GET http://h/ HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nX: y\r\nhOST:\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\nHost: a b\r\n\r\n") == 400);
    for (const char *host : {"a b", "a/b", "a@b", "a?b", "a\\b", "\xc3\xa9", "<a>"}) {
        CAPTURE(host);
        CHECK(status_of("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n") == 400);
    }
    for (const char *host : {"", "h", "h:80", "[::1]:1234", "10.0.0.1", "xn--9ca.example"}) {
        CAPTURE(host);
        CHECK(status_of("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n") == 0);
    }
}

TEST_CASE("a plain request with a body is refused with 413, with a malformed length 400")
{
    CHECK(status_with("Content-Length: 0\r\n") == 0);
    CHECK(status_with("Content-Length: 0\r\nContent-Length: 0\r\n") == 0);
    CHECK(status_with("Content-Length: 1\r\n") == 413);
    CHECK(status_with("Content-Length: 007, 007\r\n") == 413);
    CHECK(status_with("Content-Length: 99999999999999999999999999\r\n") == 413);
    CHECK(status_with("Transfer-Encoding: chunked\r\n") == 413);
    CHECK(status_with("Transfer-Encoding:\r\nContent-Length: 0\r\n") == 413);
    for (const char *length : {"", "-1", "+1", "0x0", "1 2", "1,", ",1", "1, 2", "0, 1", "one"}) {
        CAPTURE(length);
        CHECK(status_with("Content-Length: "s + length + "\r\n") == 400);
    }
    CHECK(status_with("Content-Length: 0\r\nContent-Length: 5\r\n") == 400);
}

TEST_CASE("an upgrade with a body is refused with 400")
{
    const std::string valid = kVersion + kKey;
    CHECK(status_of_upgrade(valid + "Content-Length: 0\r\n") == 0);
    for (const char *length : {"1", "00", "0, 0", "", "x"}) {
        CAPTURE(length);
        CHECK(status_of_upgrade(valid + "Content-Length: " + length + "\r\n") == 400);
    }
    CHECK(status_of_upgrade(valid + "Content-Length: 0\r\nContent-Length: 0\r\n") == 400);
    CHECK(status_of_upgrade(valid + "Transfer-Encoding: chunked\r\n") == 400);
    CHECK(status_of_upgrade(valid + "Transfer-Encoding: identity\r\n") == 400);
}

TEST_CASE("an upgrade by another method than GET is refused with 405")
{
    for (const char *method : {"POST", "HEAD", "get", "OPTIONS"}) {
        CHECK(status_of(method + " / HTTP/1.1\r\nHost: h\r\n"s + kUpgrade + kVersion + kKey +
                        "\r\n") == 405);
    }
}

TEST_CASE("an upgrade whose Connection header does not say Upgrade is refused with 400")
{
    const std::string valid = "Upgrade: websocket\r\n" + kVersion + kKey;
    CHECK(status_with(valid) == 400);
    CHECK(status_with(valid + "Connection: keep-alive\r\n") == 400);
    CHECK(status_with(valid + "Connection: Upgrades\r\n") == 400);
    CHECK(status_with(valid + "Connection: not Upgrade\r\n") == 400);
}

TEST_CASE("an upgrade to another version is refused with 426, without one with 400")
{
    CHECK(status_of_upgrade(kKey) == 400);
    for (const char *version : {"8", "14", "013", "13, 8", "", "13.0"}) {
        CAPTURE(version);
        CHECK(status_of_upgrade(kKey + "Sec-WebSocket-Version: " + version + "\r\n") == 426);
    }
    CHECK(status_of_upgrade(kKey + kVersion + kVersion) == 400);
    CHECK(status_of_upgrade(kKey + kVersion + "Sec-WebSocket-Version: 8\r\n") == 400);
}

TEST_CASE("an upgrade without exactly one key of 16 bytes is refused with 400")
{
    CHECK(status_of_upgrade(kVersion) == 400);
    CHECK(status_of_upgrade(kVersion + kKey + kKey) == 400);
    CHECK(status_of_key("AAAAAAAAAAAAAAAAAAAAAA==") == 0);
    CHECK(status_of_key("+/+/+/+/+/+/+/+/+/+/+/==") == 0); // its last four bits are not zero
    for (const char *key :
         {"", "==", "AAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAA==",
          "AAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAA===",
          "AAAAAAAAAAA-AAAAAAAAAA==", "AAAAAAAAAAA_AAAAAAAAAA==", "AAAAAAAAAAA AAAAAAAAAA==",
          "AAAAAAAAAAA=AAAAAAAAAA==", "AAAAAAAAAAA\xc3\xa9/AAAAAAAA=="}) {
        CAPTURE(key);
        CHECK(status_of_key(key) == 400);
    }
}

TEST_CASE("no list of subprotocols or extensions costs a client its handshake")
{
    for (const char *list :
         {"", ",", " ,\t,", "a", "a, A,b", "a,,b", " , ,\ta, ,", "a b", "a/b", "a, b, a", "a;q=1",
          "\"a\"", "\xc3\xa9", "a;b=\"c", "a; eid=\"os::002604-X\"", ";", "a=b=c", "\\\""}) {
        CAPTURE(list);
        for (const char *name : {"Sec-WebSocket-Protocol: ", "Sec-WebSocket-Extensions: "}) {
            const std::string line = name + std::string(list) + "\r\n";
            CHECK(status_of_upgrade(kVersion + kKey + line) == 0);
            CHECK(status_of_upgrade(kVersion + kKey + line + line) == 0);
        }
    }
    CHECK(status_of_upgrade(kVersion + kKey + "Sec-WebSocket-Protocol: a\x01\r\n") == 400);
}

TEST_CASE("a refused request still tells what had been read of it")
{
    Request head;
    CHECK(head.parse("HEAD /p?q HTTP/1.1\r\nbad header\r\n\r\n").status == 400);
    CHECK(head.is_head());
    CHECK(head.path() == "/p"sv);
    Request garbage;
    CHECK(garbage.parse("?").status == 400);
    CHECK(garbage.method() == ""sv);
    CHECK(garbage.path() == ""sv);
    CHECK(garbage.query() == ""sv);
    CHECK(garbage.header("Host") == nullptr);
    CHECK_FALSE(garbage.is_head());
}

TEST_SUITE_END();
