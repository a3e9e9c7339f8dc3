// handshake_test.cpp: finding the end of a request's header block, and what is
// read from requests that are not refused. Refusals are in
// handshake_refusal_test.cpp, answers in handshake_response_test.cpp.
#include "handshake.h"

#include "guarded.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace websock;
using Result = HeaderScanner::Result;

namespace {

constexpr std::string_view kSample = // RFC 6455 1.2
    "GET /chat HTTP/1.1\r\n"
    "Host: server.example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Origin: http://example.com\r\n"
    "Sec-WebSocket-Protocol: chat, superchat\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n";

std::string upgrade_with(const std::string &headers)
{
    return "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
           headers + "\r\n";
}

std::string plain(const std::string &target, const std::string &headers = "")
{
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

bool is_upgrade(const std::string &block)
{
    Request request;
    CHECK(request.parse(block).status == 0);
    return request.is_websocket();
}

int scan_status(std::string_view bytes, size_t max = 8192)
{
    HeaderScanner scanner(max);
    return scanner.scan(bytes) == Result::refused ? scanner.refusal().status : 0;
}

// The number of bytes after which the scanner refuses, given one more at a time.
size_t refused_after(std::string_view bytes, size_t max = 8192)
{
    HeaderScanner scanner(max);
    size_t len = 0;
    while (len < bytes.size() && scanner.scan(bytes.substr(0, len)) == Result::need_more) {
        ++len;
    }
    return scanner.scan(bytes.substr(0, len)) == Result::refused ? len : 0;
}

using namespace std::literals;

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the end of the headers is found in one piece, cut anywhere and byte by byte")
{
    HeaderScanner bytewise(8192);
    for (size_t cut = 0; cut < kSample.size(); ++cut) {
        CAPTURE(cut);
        Guarded part(kSample.substr(0, cut));
        CHECK(bytewise.scan(part.text()) == Result::need_more);
        HeaderScanner scanner(8192);
        CHECK(scanner.scan(part.text()) == Result::need_more);
        CHECK(scanner.scan(kSample) == Result::complete);
        CHECK(scanner.length() == kSample.size());
    }
    Guarded whole(kSample);
    CHECK(bytewise.scan(whole.text()) == Result::complete);
    CHECK(bytewise.length() == kSample.size());
}

TEST_CASE("bytes behind the header block are not looked at")
{
    const std::string pipelined = std::string(kSample) + "\x81\x85\0\n\r\r"s;
    for (size_t max : {kSample.size(), size_t{8192}}) {
        HeaderScanner scanner(max);
        CHECK(scanner.scan(pipelined) == Result::complete);
        CHECK(scanner.length() == kSample.size());
        CHECK(scanner.scan(pipelined + "more") == Result::complete);
        CHECK(scanner.length() == kSample.size());
    }
}

TEST_CASE("a header block may have max_bytes, and one byte more is refused with 431")
{
    CHECK(scan_status(kSample, kSample.size()) == 0);
    CHECK(scan_status(kSample, kSample.size() - 1) == 431);
    CHECK(refused_after(kSample, kSample.size() - 1) == kSample.size() - 1);
    CHECK(scan_status("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x')) == 431);
}

TEST_CASE("an empty line before the request is passed over")
{
    const std::string block = "\r\n" + std::string(kSample);
    HeaderScanner scanner(8192);
    CHECK(scanner.scan(block) == Result::complete);
    CHECK(scanner.length() == block.size());
    Request request;
    CHECK(request.parse(block).status == 0);
    CHECK(request.path() == "/chat"sv);
}

TEST_CASE("what can be no request is refused with 400 as soon as the byte is there")
{
    CHECK(scan_status("\r\n\r\nGET / HTTP/1.1\r\n") == 400);
    CHECK(refused_after("\r\n\r\nGET") == 3);
    CHECK(refused_after("\r\n GET") == 3);
    CHECK(refused_after("\rGET") == 2);
    CHECK(refused_after("\nGET") == 1);
    CHECK(refused_after(" GET") == 1);
    CHECK(refused_after("\x80\x01\x02") == 1);
    CHECK(refused_after("\0"sv) == 1);
    CHECK(refused_after("GET / HTTP/1.1\nHost") == 15);
    CHECK(refused_after("GET / HTTP/1.1\rHost") == 16);
    CHECK(refused_after("GET / HTTP/1.1\r\rHost") == 16);
    CHECK(refused_after("GET / HTTP/1.1\r\nA: \0b"sv) == 20);
    CHECK(refused_after("GET / HTTP/1.1\r\nA: \x1b[0m") == 20);
    CHECK(refused_after("GET / HTTP/1.1\r\nA: \x7f") == 20);
    CHECK(refused_after("GET / HTTP/1.1\r\nA:\tb\x80\r\n") == 0);
}

TEST_CASE("a TLS ClientHello is told that this is not TLS")
{
    HeaderScanner scanner(8192);
    CHECK(scanner.scan("\x16\x03\x01") == Result::refused);
    CHECK(scanner.refusal().status == 400);
    CHECK(scanner.refusal().reason == "this port speaks plain HTTP, not TLS"sv);
    CHECK(scanner.scan("\x16\x03\x01\x02") == Result::refused);
}

TEST_CASE("the sample request of RFC 6455 is a valid upgrade")
{
    Request request;
    Guarded block(kSample);
    CHECK(request.parse(block.text()).status == 0);
    CHECK(request.is_websocket());
    CHECK(request.method() == "GET"sv);
    CHECK(request.path() == "/chat"sv);
    CHECK(request.query() == ""sv);
    CHECK_FALSE(request.is_head());
    CHECK(request.header("Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ=="sv);
}

TEST_CASE("a request keeps its own copy of the bytes")
{
    Request request;
    {
        std::string block(kSample);
        CHECK(request.parse(block).status == 0);
        block.assign(block.size(), '#');
    }
    CHECK(request.path() == "/chat"sv);
    CHECK(request.header("origin") == "http://example.com"sv);
}

TEST_CASE("an upgrade is recognised among other tokens, in any case and on several lines")
{
    CHECK(is_upgrade(upgrade_with("Upgrade: websocket\r\nConnection: Upgrade\r\n")));
    CHECK(is_upgrade(upgrade_with("UPGRADE: WebSocket\r\nconnection: keep-alive, uPGRADE\r\n")));
    CHECK(is_upgrade(upgrade_with("Upgrade: h2c,websocket\r\nConnection:upgrade , x\r\n")));
    CHECK(is_upgrade(upgrade_with("Upgrade: h2c\r\nConnection: close\r\nUpgrade:\twebsocket\t\r\n"
                                  "Connection: ,upgrade\r\n")));
    CHECK(is_upgrade(upgrade_with("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Content-Length: 0\r\nSec-WebSocket-Extensions: a;b, c\r\n")));
}

TEST_CASE("without the token websocket a request is plain HTTP, whatever its method")
{
    CHECK_FALSE(is_upgrade(upgrade_with("Connection: Upgrade\r\n")));
    CHECK_FALSE(is_upgrade(upgrade_with("Upgrade: h2c, websockets\r\nConnection: Upgrade\r\n")));
    CHECK_FALSE(is_upgrade(upgrade_with("Upgrade: web socket\r\nConnection: Upgrade\r\n")));
    CHECK_FALSE(is_upgrade("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
    Request head;
    CHECK(head.parse("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n").status == 0);
    CHECK(head.is_head());
    CHECK(head.method() == "HEAD"sv);
}

TEST_CASE("the target is split at the first question mark, and left percent-encoded")
{
    struct {
        const char *target, *path, *query;
    } const cases[] = {
        {"/", "/", ""},
        {"/a/b%20c", "/a/b%20c", ""},
        {"/a?b=c", "/a", "b=c"},
        {"/?", "/", ""},
        {"/a?b?c", "/a", "b?c"},
        {"//a", "//a", ""},
        {"/r?u=http://x/y", "/r", "u=http://x/y"},
        {"http://h/chat?x=1", "/chat", "x=1"},
        {"HTTPS://h:443/chat", "/chat", ""},
        {"http://h", "/", ""},
        {"http://[::1]:80?x", "/", "x"},
    };
    for (const auto &c : cases) {
        CAPTURE(c.target);
        Request request;
        CHECK(request.parse(plain(c.target)).status == 0);
        CHECK(request.path() == std::string_view(c.path));
        CHECK(request.query() == std::string_view(c.query));
    }
}

TEST_CASE("a header is found in any case, without white space around its value")
{
    Request request;
    CHECK(
        request.parse(plain("/", "X-One: \t a b \t\r\nEmpty:\r\nBlank: \t \r\nObs: \xe9t\xe9\r\n"))
            .status == 0);
    CHECK(request.header("x-one") == "a b"sv);
    CHECK(request.header("X-ONE") == "a b"sv);
    CHECK(request.header("Empty") == ""sv);
    CHECK(request.header("Blank") == ""sv);
    CHECK(request.header("Obs") == "\xe9t\xe9"sv);
    CHECK(request.header("Host") == "h"sv);
    CHECK(request.header("X-On") == nullptr);
    CHECK(request.header("") == nullptr);
}

TEST_CASE("several headers of one name are joined with a comma, in their order")
{
    Request request;
    CHECK(request.parse(plain("/", "A: 1\r\nB: x\r\na: 2\r\nB: y\r\nA:\r\nA: 4\r\n")).status == 0);
    CHECK(request.header("A") == "1, 2, , 4"sv);
    CHECK(request.header("b") == "x, y"sv);
}

TEST_CASE("the subprotocols a client offers are whole and case-sensitive names")
{
    Request request;
    CHECK(request
              .parse(upgrade_with("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Protocol: chat ,v2.chat\r\n"
                                  "Sec-WebSocket-Protocol: mqtt\r\n"))
              .status == 0);
    for (const char *offered : {"chat", "v2.chat", "mqtt"}) {
        CHECK(request.offers_protocol(offered));
    }
    for (const char *other : {"", "Chat", "v2", "cha", "chat ,v2.chat", "mqtt "}) {
        CHECK_FALSE(request.offers_protocol(other));
    }
    Request without;
    CHECK(without.parse(plain("/")).status == 0);
    CHECK_FALSE(without.offers_protocol("chat"));
    CHECK_FALSE(without.offers_protocol(""));
}

TEST_CASE("a hundred headers are taken, Host among them, of one name too")
{
    std::string different, same;
    for (int i = 0; i < 99; ++i) {
        different += "H" + std::to_string(i) + ": v" + std::to_string(i) + "\r\n";
        same += "Same: " + std::to_string(i) + "\r\n";
    }
    Request request;
    CHECK(request.parse(plain("/", different)).status == 0);
    CHECK(request.header("H98") == "v98"sv);
    Request joined;
    CHECK(joined.parse(plain("/", same)).status == 0);
    CHECK(std::string_view(joined.header("same")).ends_with("97, 98"));
}

TEST_CASE("names are compared without regard to the case of ASCII letters only")
{
    CHECK(equals_ignoring_case("", ""));
    CHECK(equals_ignoring_case("WebSocket-09", "wEBsOCKET-09"));
    CHECK_FALSE(equals_ignoring_case("a", "ab"));
    CHECK_FALSE(equals_ignoring_case("@[", "`{"));
    CHECK_FALSE(equals_ignoring_case("\xc4", "\xe4"));
}

TEST_SUITE_END();
