// handshake_test.cpp: finding the end of a request's header block, and what is
// read from requests that are not refused. Refusals are in
// handshake_refusal_test.cpp; answers are in handshake_response_test.cpp.
#include "protocol/handshake.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

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

// The number of bytes after which the scanner refuses, when they come one at a time.
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
        {"ws://h/chat?x=1", "/chat", "x=1"},
        {"WSS://h:443", "/", ""},
        {"/r?u=ws://h", "/r", "u=ws://h"},
        {"/ws://h", "/ws://h", ""},
    };
    for (const auto &c : cases) {
        CAPTURE(c.target);
        Request request;
        CHECK(request.parse(plain(c.target)).status == 0);
        CHECK(request.path() == std::string_view(c.path));
        CHECK(request.query() == std::string_view(c.query));
    }
}

TEST_CASE("a fragment is cut off the target, and of no other meaning")
{
    struct {
        const char *target, *path, *query;
    } const cases[] = {
        {"/chat#room", "/chat", ""},   {"/#", "/", ""},        {"/a?b#c", "/a", "b"},
        {"/a#b?c", "/a", ""},          {"/a##b", "/a", ""},    {"http://h#x", "/", ""},
        {"ws://h/a#ws://g", "/a", ""}, {"ws://h#/a", "/", ""}, {"/a#://", "/a", ""},
    };
    for (const auto &c : cases) {
        CAPTURE(c.target);
        Request request;
        CHECK(request.parse(plain(c.target)).status == 0);
        CHECK(request.path() == std::string_view(c.path));
        CHECK(request.query() == std::string_view(c.query));
    }
}

TEST_CASE("bytes of a target that are not ASCII are passed on as they are")
{
    Request request;
    CHECK(request.parse(plain("/caf\xc3\xa9/\xff?\x80=\xe2\x82\xac")).status == 0);
    CHECK(request.path() == "/caf\xc3\xa9/\xff"sv);
    CHECK(request.query() == "\x80=\xe2\x82\xac"sv);
}

TEST_CASE("plain HTTP/1.0 is a request, with a Host or without")
{
    for (const char *host : {"", "Host: h\r\n", "Host:\r\n"}) {
        CAPTURE(host);
        Request request;
        CHECK(request.parse("OPTIONS /health HTTP/1.0\r\n"s + host + "\r\n").status == 0);
        CHECK(request.method() == "OPTIONS"sv);
        CHECK(request.path() == "/health"sv);
        CHECK_FALSE(request.is_websocket());
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

TEST_CASE("subprotocol names need not be tokens, only visible; others are as if not offered")
{
    Request request;
    CHECK(
        request
            .parse(upgrade_with("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Protocol: ogmios.v1:compact, dG9rZW4/Kw==,\r\n"
                                "Sec-WebSocket-Protocol: b\xc3\xbc, two words ,a\tb, a;\"b\"\r\n"))
            .status == 0);
    for (const char *offered : {"ogmios.v1:compact", "dG9rZW4/Kw==", "two words", "a;\"b\""}) {
        CAPTURE(offered);
        CHECK(request.offers_protocol(offered));
    }
    for (const char *other : {"", "b\xc3\xbc", "a\tb", "two", "a;\"b\", "}) {
        CAPTURE(other);
        CHECK_FALSE(request.offers_protocol(other));
    }
}

// RFC 6455 4.3: "... the value after quoted-string unescaping MUST conform to the 'token' ABNF."
// RFC 6455 9.1: "... the value after quoted-string unescaping MUST conform to the 'token' ABNF."
TEST_CASE("of the extensions a client offers those remain that can be parsed, as they are")
{
    using Offers = std::vector<std::string_view>;
    const auto offers_in = [](const std::string &lines, const Offers &wanted) {
        Request request;
        const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
        CHECK(request.parse(upgrade_with(upgrade + lines)).status == 0);
        CAPTURE(lines);
        CHECK(request.extension_offers() == wanted);
    };
    const std::string name = "Sec-WebSocket-Extensions: ";
    offers_in("", {});
    offers_in(name + "\r\n", {});
    offers_in(name + "permessage-deflate; client_max_window_bits\r\n",
              {"permessage-deflate; client_max_window_bits"});
    offers_in(name + "a; b=\"c\" ,, d;e\r\n" + name + "f\r\n", {"a; b=\"c\"", "d;e", "f"});
    offers_in(name + "bbf-usp-protocol; eid=\"os::002604-X\", permessage-deflate\r\n",
              {"permessage-deflate"});
    offers_in(name + "x; y=\"1, permessage-deflate, 2\", z\r\n", {"z"});
    offers_in(name + "x; y=\"1\\\", no\", z\r\n", {"z"});
    offers_in(name + "a, x; y=\"1, z\r\n", {"a"}); // the quotes never end
    for (const char *bad :
         {";",           "a;",       ";a",     "a;;b",      "a;b=",   "a;=c",    "a;b=c=d",
          "a b",         "a=b",      "a; b c", "a;b=\"\"",  "a;b=\"", "a;b=c\"", "a;b=\"c d\"",
          "a;b=\"c;d\"", "a;b=\"\\", "\"a\"",  "a;\"b\"=c", "a/1",    "\xc3\xa9"}) {
        offers_in(name + "good, " + bad + "\r\n", {"good"});
    }
}

TEST_CASE("thousands of headers are taken, of different names and of one")
{
    constexpr int kCount = 8000;
    std::string different, same;
    for (int i = 0; i < kCount; ++i) {
        // Shuffled, so that the names are not sorted already.
        const std::string number = std::to_string(i * 7919 % kCount);
        different += "H" + number + ": v" + number + "\r\n";
        same += (i % 2 ? "Same: " : "sAME: ") + std::to_string(i) + "\r\n";
    }
    Request request;
    REQUIRE(request.parse(plain("/", different)).status == 0);
    for (const char *number : {"0", "1", "98", "4711", "7999"}) {
        CHECK(request.header("h"s + number) == "v"s + number);
    }
    Request joined;
    REQUIRE(joined.parse(plain("/", same)).status == 0);
    CHECK(std::string_view(joined.header("same")).starts_with("0, 1, 2, 3, "));
    CHECK(std::string_view(joined.header("same")).ends_with(", 7998, 7999"));
    CHECK(joined.header("Host") == "h"sv);
}

TEST_CASE("the time for headers grows as they do, and not with their square")
{
    // This thread's own time on the processor: others may be busy.
    const auto cpu_time = [] {
        timespec now{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    };
    const auto time_for = [&](int count, bool same) {
        std::string lines;
        for (int i = 0; i < count; ++i) {
            lines += (same ? "Same" : "X" + std::to_string(i * 7919L % count)) + ":\r\n";
        }
        const std::string block = plain("/", lines);
        double least = 1e9;
        for (int i = 0; i < 3; ++i) {
            Request request;
            const double begin = cpu_time();
            CHECK(request.parse(block).status == 0);
            least = std::min(least, cpu_time() - begin);
        }
        return least;
    };
    for (const bool same : {false, true}) {
        CAPTURE(same);
        // 32 times as many headers. Measured: less than 100 times as long, as caches become too
        // small. The square of 32 is 1024.
        CHECK(time_for(8000, same) < 300 * time_for(250, same));
    }
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
