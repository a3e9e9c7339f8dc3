// handshake_cases.cpp: RFC 6455 4, the opening handshake from the server's side: what must
// be accepted, and every way to be refused, with the exact status line. Where HTTP decides,
// RFC 9110 or 9112 is named.
#include "cases.h"
#include "requests.h"

#include <doctest/doctest.h>

#include <utility>

using namespace conformance;
using std::string_literals::operator""s;

namespace {

// The lines of a valid request, which the cases vary.
const std::string kGet = "GET / HTTP/1.1\r\n";
const std::string kHost = "Host: localhost\r\n";
const std::string kUpgrade = "Upgrade: websocket\r\n";
const std::string kConnection = "Connection: Upgrade\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";
const std::string kKeyLine = std::string("Sec-WebSocket-Key: ") + test::kKey + "\r\n";

const std::string kBad = "400 Bad Request";
const std::string kUpgradeRequired = "426 Upgrade Required";
const std::vector<std::string> kOurVersion = {"Upgrade: websocket\r\n",
                                              "Sec-WebSocket-Version: 13\r\n"};

// A valid request with one of its lines replaced. replacement "": without it.
std::string with(const std::string &line, const std::string &replacement)
{
    std::string request = kGet + kHost + kUpgrade + kConnection + kVersion + kKeyLine + "\r\n";
    return request.replace(request.find(line), line.size(), replacement);
}

// A valid request with more lines.
std::string and_also(const std::string &lines) { return with(kHost, kHost + lines); }

std::string get(const std::string &target) { return with(kGet, "GET " + target + " HTTP/1.1\r\n"); }

} // namespace

// RFC 6455 4.2.2: "... the server MUST complete the following steps to accept the connection ..."
TEST_CASE("1.3: the example of the RFC, and its key")
{
    const std::string example = "GET /chat HTTP/1.1\r\n"
                                "Host: server.example.com\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Origin: http://example.com\r\n"
                                "Sec-WebSocket-Protocol: chat, superchat\r\n"
                                "Sec-WebSocket-Version: 13\r\n\r\n";
    const std::string other = with(kKeyLine, "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n");
    try_requests({
        {.section = "1.3",
         .sentence = "the example",
         .bytes = example,
         .accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {.section = "4.2.2",
         .sentence = "another key",
         .bytes = other,
         .accept = "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
    });
}

// RFC 6455 4.2.1: "... the server MUST stop processing the client's handshake ..."
TEST_CASE("4.2.1 item 1: a GET request of HTTP/1.1, and nothing else")
{
    std::vector<Request> all;
    for (const char *method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "HEAD", "get",
                               "Get", "GETS", "FOO"})
        all.push_back({"4.2.1",
                       std::string("method ") + method,
                       with("GET ", std::string(method) + " "),
                       "405 Method Not Allowed",
                       {"Allow: GET\r\n"}});
    for (const char *version : {"HTTP/1.2", "HTTP/1.9"}) // "or higher"; RFC 9110 2.5
        all.push_back({"4.2.1", std::string("version ") + version, with("HTTP/1.1", version)});
    const std::string plain_1_0 = "OPTIONS / HTTP/1.0\r\n";
    all.push_back({"RFC 9110 7.8", "plain HTTP/1.0", plain_1_0 + kHost + "\r\n", kUpgradeRequired,
                   kOurVersion});
    all.push_back({"RFC 9112 3.2", "plain HTTP/1.0 without a Host", plain_1_0 + "\r\n",
                   kUpgradeRequired, kOurVersion});
    for (const char *version : {"HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/3.0"})
        all.push_back({"4.2.1", std::string("version ") + version, with("HTTP/1.1", version),
                       "505 HTTP Version Not Supported"});
    // RFC 9112 3 and 2.3
    for (const char *line :
         {"GET /\r\n", "GET\r\n", "GET  / HTTP/1.1\r\n", "GET /  HTTP/1.1\r\n",
          "GET / HTTP/1.1 \r\n", "GET / HTTP/11\r\n", "GET / HTTP/1.10\r\n", "GET / HTTP/1.\r\n",
          "GET / http/1.1\r\n", "GET / HTTP 1.1\r\n", "GET / HTTP/1.x\r\n", "GET /a b HTTP/1.1\r\n",
          "GET\t/\tHTTP/1.1\r\n", "G(T / HTTP/1.1\r\n", "GET: / HTTP/1.1\r\n", "GET HTTP/1.1\r\n"})
        all.push_back({"4.2.1", std::string("request line ") + line, with(kGet, line), kBad});
    all.push_back({"4.2.1", "a space before the method", " " + with("", ""), kBad});
    all.push_back({"RFC 9112 2.2", "an empty line before it", "\r\n" + with("", "")});
    all.push_back({"RFC 9112 2.2", "two empty lines", "\r\n\r\n" + with("", ""), kBad});
    all.push_back({"RFC 9112 2.2", "a line feed before it", "\n" + with("", ""), kBad});
    all.push_back({"RFC 9112 2.2", "a carriage return before it", "\r" + with("", ""), kBad});
    try_requests(all);
}

TEST_CASE("4.2.1 item 1, 3: the request target is a path or an absolute URI")
{
    std::vector<Request> all;
    for (const char *target :
         {"/chat", "/chat?x=1", "/?", "/%20%E2%82%AC", "/a//b/../c", "//", "/*", "/a?b?c/d",
          "http://localhost/", "http://localhost", "http://localhost?x",
          "HTTP://localhost:80/chat?x=1", "https://[::1]:8443/x", "http://other.example/",
          "ws://localhost/chat", "WSS://localhost:443?x"})
        all.push_back({"4.2.1", target, get(target)});
    // Section 3: fragment identifiers must not be used. If a client sends one, it is cut off.
    for (const char *target : {"/#", "/chat#top", "/?x#y", "http://localhost/#x", "ws://h#x"})
        all.push_back({"3", target, get(target)});
    all.push_back({"3", "bytes above 0x7f", get("/\xe2\x82\xac?\xff")});
    // RFC 9112 3.2 has the forms.
    for (const char *target : {"chat", "*", "?x", "#x", "localhost:80", "http://", "http:///chat",
                               "http://a b/", "ws://", "ws:///x", "ftp://localhost/", "/\x7f",
                               "http://user@localhost/", "ws://user@localhost/"})
        all.push_back({"4.2.1", target, get(target), kBad});
    all.push_back({"4.2.1", "a target of 16000 bytes", get("/" + std::string(16000, 'x'))});
    try_requests(all);
}

// RFC 6455 4.2.1: "The server must parse at least part of this handshake ..."
TEST_CASE("4.2.1 item 1, 3: what a server sees of a target is its path")
{
    // Only at this path is a subprotocol accepted: see requests.h.
    std::vector<Request> all;
    const std::string offer = "Sec-WebSocket-Protocol: chat.v1\r\n";
    for (const char *target :
         {"/chat", "/chat?/x", "/chat#/x", "/chat?x#y", "http://localhost/chat",
          "ws://localhost/chat?x", "wss://localhost:80/chat#x"}) {
        Request request = {.section = "4.2.1", .sentence = target, .bytes = get(target)};
        request.bytes.insert(request.bytes.find(kKeyLine), offer);
        request.lines = {offer};
        all.push_back(request);
    }
    try_requests(all);
}

TEST_CASE("4.2.1 item 2: exactly one valid Host")
{
    std::vector<Request> all = {
        {"4.2.1", "no Host", with(kHost, ""), kBad},
        {"4.2.1", "two of them", with(kHost, kHost + "Host: other\r\n"), kBad},
        {"4.2.1", "twice the same", with(kHost, kHost + kHost), kBad},
        {"4.2.1", "two in one, behind others", with(kKeyLine, kKeyLine + "hOST: localhost\r\n"),
         kBad},
    };
    for (const char *host :
         {"localhost", "localhost:80", "LOCALHOST", "127.0.0.1:8080", "[::1]", "[::1]:8080",
          "example.org.", "a_b.example", "%41", "", "xn--bcher-kva.example"})
        all.push_back({"4.2.1", "Host \"" + std::string(host) + "\"",
                       with(kHost, "Host: " + std::string(host) + "\r\n")});
    for (const char *host :
         {"a b", "a/b", "user@localhost", "a?b", "a#b", "a\\b", "http://localhost",
          "b\xc3\xbc"
          "cher.example",
          "<x>", "a\"b"})
        all.push_back({"4.2.1", "Host \"" + std::string(host) + "\"",
                       with(kHost, "Host: " + std::string(host) + "\r\n"), kBad});
    try_requests(all);
}

TEST_CASE("4.2.1 item 3: Upgrade has websocket in it, in any case")
{
    std::vector<Request> all;
    for (const char *value :
         {"websocket", "WebSocket", "WEBSOCKET", "h2c, websocket", "websocket,h2c",
          "h2c,\twebsocket , foo", ", websocket", "  websocket  ", "h2c\r\nUpgrade: websocket"})
        all.push_back({"4.2.1", "Upgrade: " + std::string(value),
                       with(kUpgrade, "Upgrade: " + std::string(value) + "\r\n")});
    // A request for no upgrade is plain HTTP. The answer names the one there is: RFC 9110 15.5.22.
    for (const char *value : {"", "h2c", "websockets", "web socket", "websocket/13",
                              "\"websocket\"", "websocket;q=1", "xwebsocket", "http/1.1"})
        all.push_back({"4.2.1", "Upgrade: " + std::string(value),
                       with(kUpgrade, "Upgrade: " + std::string(value) + "\r\n"), kUpgradeRequired,
                       kOurVersion});
    all.push_back({"4.2.1", "no Upgrade", with(kUpgrade, ""), kUpgradeRequired, kOurVersion});
    all.push_back({"4.2.1", "plain HTTP", kGet + kHost + "\r\n", kUpgradeRequired, kOurVersion});
    all.push_back({"4.2.1", "HEAD of plain HTTP", "HEAD / HTTP/1.1\r\n" + kHost + "\r\n",
                   kUpgradeRequired, kOurVersion});
    try_requests(all);
}

TEST_CASE("4.2.1 item 4: Connection has upgrade in it, in any case")
{
    std::vector<Request> all;
    for (const char *value : {"Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade",
                              "Upgrade,keep-alive", "keep-alive ,\tuPGRADE\t, x", ",Upgrade,",
                              "keep-alive\r\nConnection: Upgrade", "Upgrade\r\nConnection: close"})
        all.push_back({"4.2.1", "Connection: " + std::string(value),
                       with(kConnection, "Connection: " + std::string(value) + "\r\n")});
    for (const char *value : {"", "keep-alive", "close", "Upgrades", "Up grade", "\"Upgrade\"",
                              "x-Upgrade", "Upgrade;x", "websocket"})
        all.push_back({"4.2.1", "Connection: " + std::string(value),
                       with(kConnection, "Connection: " + std::string(value) + "\r\n"), kBad});
    all.push_back({"4.2.1", "no Connection", with(kConnection, ""), kBad});
    try_requests(all);
}

// RFC 6455 4.2.2: "If this version does not match ... the server MUST abort ..."
// RFC 6455 4.4: "... it MUST respond with a |Sec-WebSocket-Version| header field ..."
// RFC 6455 11.3.5: "... MUST NOT appear more than once in an HTTP request."
TEST_CASE("4.2.1 item 6, 4.4: the version is 13; to another one the answer says so")
{
    std::vector<Request> all = {
        {"4.2.1", "no version", with(kVersion, ""), kBad},
        {"11.3.5", "13 twice", with(kVersion, kVersion + kVersion), kBad},
        {"11.3.5", "13 and 8", with(kVersion, kVersion + "Sec-WebSocket-Version: 8\r\n"), kBad},
        {"4.2.1", "13 in white space", with("Version: 13", "Version: \t 13 \t")},
        {"4.2.1", "13 without white space", with("Version: 13", "Version:13")},
    };
    for (const char *value : {"0", "4", "7", "8", "12", "14", "113", "130", "255", "013", "13.0",
                              "1 3", "+13", "-13", "0xd", "13, 8", "8, 13", "thirteen", ""})
        all.push_back({"4.4", "version \"" + std::string(value) + "\"",
                       with("Version: 13", "Version: " + std::string(value)), kUpgradeRequired,
                       kOurVersion});
    try_requests(all);
}

// RFC 6455 11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once ..."
TEST_CASE("4.2.1 item 5: exactly one key, of 16 bytes in base64")
{
    std::vector<Request> all = {
        {"4.2.1", "no key", with(kKeyLine, ""), kBad},
        {"11.3.1", "twice the same", with(kKeyLine, kKeyLine + kKeyLine), kBad},
        {"11.3.1", "two of them",
         with(kKeyLine, kKeyLine + "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"), kBad},
        {"4.2.1", "in white space", with(test::kKey, std::string(" \t") + test::kKey + "\t ")},
    };
    const std::vector<std::pair<std::string, std::string>> keys = {
        {"empty", ""},
        {"of 0 bytes, padded", "===="},
        {"of 1 byte", "YQ=="},
        {"of 15 bytes", "MTIzNDU2Nzg5MDEyMzQ1"},
        {"of 17 bytes", "MTIzNDU2Nzg5MDEyMzQ1Njc="},
        {"of 18 bytes", "MTIzNDU2Nzg5MDEyMzQ1Njc4"},
        {"of 32 bytes", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="},
        {"without padding", "dGhlIHNhbXBsZSBub25jZQ"},
        {"with half the padding", "dGhlIHNhbXBsZSBub25jZQ="},
        {"with more padding", "dGhlIHNhbXBsZSBub25jZQ==="},
        {"with padding inside", "dGhlIHNhbXBsZ=Bub25jZQ=="},
        {"in the alphabet for URLs", "dGhl-HNhbXBsZSBub25j_Q=="},
        {"with a space", "dGhlIHNhbXB ZSBub25jZQ=="},
        {"with a comma", "dGhlIHNhbXB,ZSBub25jZQ=="},
        {"with a byte above 0x7f", "dGhlIHNhbXB\xc3ZSBub25jZQ=="},
        {"in quotes", "\"dGhlIHNhbXBsZSBub25jZQ==\""},
        {"of 5000 characters", std::string(5000, 'A')},
    };
    for (const auto &[what, key] : keys)
        all.push_back({"4.2.1", "a key " + what, with(test::kKey, key), kBad});
    try_requests(all);
}

// RFC 6455 4.2.2: "If the server does not wish to accept this connection, it MUST return ..."
// RFC 6455 4.2.2: "If the requested service is not available, the server MUST send ..."
TEST_CASE("4.2.2 item 4: what the program refuses gets the status it says, and no upgrade")
{
    std::vector<Request> all;
    for (const std::string tail : {"", "?x=1", "#top"}) {
        all.push_back({.section = "4.2.2",
                       .sentence = "forbidden" + tail,
                       .bytes = get("/forbidden" + tail),
                       .status = "403 Forbidden",
                       .is_valid = true});
        all.push_back({.section = "4.2.2",
                       .sentence = "missing" + tail,
                       .bytes = get("/missing" + tail),
                       .status = "404 Not Found",
                       .is_valid = true});
    }
    try_requests(all);
}

// RFC 6455 4.2.2: "The value chosen MUST be derived from the client's handshake, ..."
// RFC 6455 4.2.2: "... MUST NOT send back a |Sec-WebSocket-Protocol| header field ..."
TEST_CASE("4.2.2 item 5: the server chooses one of the subprotocols, or none")
{
    std::vector<Request> all;
    const auto add = [&](const std::string &target, const std::string &offered,
                         const std::string &chosen) {
        Request request = {.section = "4.2.2", .sentence = offered, .bytes = get(target)};
        request.bytes.insert(request.bytes.find(kKeyLine), offered);
        if (!chosen.empty())
            request.lines = {"Sec-WebSocket-Protocol: " + chosen + "\r\n"};
        all.push_back(request);
    };
    const std::string name = "Sec-WebSocket-Protocol: ";
    add("/", name + "chat.v1\r\n", ""); // without a choice there is no header
    add("/chat", "", "");
    add("/chat", name + "chat.v1\r\n", "chat.v1");
    add("/chat", name + "chat.v1, chat.v2\r\n", "chat.v2");
    add("/chat", name + "other,chat.v1\r\n", "chat.v1");
    add("/chat", name + "other \t,\t chat.v1  \r\n", "chat.v1");
    add("/chat", name + "other\r\n" + name + "chat.v2\r\n", "chat.v2");
    add("/chat", name + "CHAT.V1\r\n", ""); // 4.1: names are compared as they are
    add("/chat", name + "chat.v1x, xchat.v2, chat\r\n", "");
    add("/chat", name + "!#$%&'*+-.^_`|~09AZaz\r\n", "");
    // RFC 9110 5.6.1.2: empty elements do not count
    add("/chat", name + "other,,chat.v1,\r\n", "chat.v1");
    add("/chat", name + ", ,chat.v2\r\n", "chat.v2");
    // 4.1 item 10 demands tokens, each of them once. Clients that send others are served, too.
    for (const char *offered :
         {"", ",", "a b", "chat/v1", "a, b, a", "a;b", "\"chat.v1\"", "b\xc3\xa9", "(x)"})
        add("/chat", name + offered + "\r\n", "");
    for (const char *offered :
         {"chat.v1, chat.v1", "chat.v1, b\xc3\xa9", "a:b, chat.v1", "a=, chat.v1"})
        add("/chat", name + offered + "\r\n", "chat.v1");
    add("/chat", name + "chat.v2\r\n" + name + "chat.v2\r\n", "chat.v2");
    add("/chat", name + "chat.v1 chat.v2\r\n", ""); // one name
    try_requests(all);
}

// RFC 6455 4.2.2: "Extensions not listed by the client MUST NOT be listed."
// RFC 6455 9: "A server MUST NOT respond with any extension not requested by the client."
TEST_CASE("4.2.2 item 6, 9.1: extensions that are offered are not used")
{
    std::vector<Request> all;
    const std::string name = "Sec-WebSocket-Extensions: ";
    for (const char *offered :
         {"permessage-deflate", "permessage-deflate; client_max_window_bits", "foo, bar; baz=2",
          "deflate-stream", "permessage-deflate; server_max_window_bits=\"10\"",
          "x\r\nSec-WebSocket-Extensions: y; z=1"})
        all.push_back({"9.1", offered, and_also(name + offered + "\r\n")});
    // By 9.1 a list that does not follow the grammar fails the connection. Such lists are in
    // use, and ask for nothing that would be granted: they are passed over.
    for (const char *offered :
         {"", ";", "a;", "a;;b", "a b", "a; b=", "a; =b", "a; b=\"c d\"", "a; b=\"c", "\"a\"",
          "a/b", "a, (b)", "bbf-usp-protocol; eid=\"os::002604-X\""})
        all.push_back({"9.1", name + offered, and_also(name + offered + "\r\n")});
    try_requests(all);
}

TEST_CASE("4.2.1 item 7 to 9: other headers do not matter, nor how any of them is written")
{
    const std::string lower = kGet +
                              "host: localhost\r\nupgrade: websocket\r\n"
                              "connection: upgrade\r\nsec-websocket-version: 13\r\n"
                              "sec-websocket-key: " +
                              test::kKey + "\r\n\r\n";
    try_requests({
        {"4.2.1", "an Origin", and_also("Origin: https://evil.example\r\n")},
        {"4.2.1", "a null Origin", and_also("Origin: null\r\n")},
        {"4.2.1", "cookies", and_also("Cookie: a=1; b=2\r\nCookie: c=3\r\n")},
        {"4.2.1", "header names in lower case", lower},
        {"4.2.1", "header names in upper case",
         with(kVersion + kKeyLine, "SEC-WEBSOCKET-VERSION: 13\r\nSEC-WEBSOCKET-KEY: " +
                                       std::string(test::kKey) + "\r\n")},
        {"4.2.1", "no white space behind the colons",
         with(kHost + kUpgrade, "Host:localhost\r\nUpgrade:websocket\r\n")},
        {"4.2.1", "white space around the values",
         with(kHost + kUpgrade, "Host: \tlocalhost \r\nUpgrade:\t  websocket\t\r\n")},
        {"4.2.1", "headers in another order",
         kGet + kKeyLine + kVersion + kConnection + kUpgrade + kHost + "\r\n"},
        {"4.2.1", "unknown headers", and_also("X-Unknown: yes\r\nx: y\r\nEmpty:\r\n")},
        {"4.2.1", "a name of every token character", and_also("!#$%&'*+-.^_`|~09AZaz: x\r\n")},
        {"4.2.1", "a value with bytes above 0x7f", and_also("X: \xc3\xa9 \xff\r\n")},
        {"4.2.1", "a value with tabs and colons", and_also("X: a:\tb: c\r\n")},
        {"4.2.1", "Content-Length: 0", and_also("Content-Length: 0\r\n")},
        {"4.2.1", "Expect", and_also("Expect: 100-continue\r\n")},
        {"4.2.1", "a frame right behind the request", with("", "") + client::pong("early")},
    });
}

TEST_CASE("RFC 9112 5: header lines that are none are refused")
{
    const std::vector<std::pair<std::string, std::string>> lines = {
        {"no colon", "X\r\n"},
        {"no name", ": x\r\n"},
        {"white space before the colon", "X : y\r\n"},
        {"a tab before the colon", "X\t: y\r\n"},
        {"white space inside the name", "X Y: z\r\n"},
        {"a name that is no token", "X(Y): z\r\n"},
        {"a name with a byte above 0x7f", "X\xc3\xa9: z\r\n"},
        {"a folded line", "X: y\r\n z\r\n"},
        {"a folded line, with a tab", "X: y\r\n\tz\r\n"},
        {"a line of white space", "X: y\r\n \r\n"},
        {"a bare line feed at its end", "X: y\n"},
        {"a bare line feed inside", "X: y\nZ: z\r\n"},
        {"a bare carriage return inside", "X: y\rz\r\n"},
        {"a bare carriage return at its end", "X: y\r\r\n"},
        {"NUL in the value", "X: y\0z\r\n"s},
        {"NUL in the name", "X\0: y\r\n"s},
        {"a control character", "X: \x01\r\n"},
        {"an escape character", "X: \x1b[31m\r\n"},
        {"a delete character", "X: \x7f\r\n"},
    };
    std::vector<Request> all;
    for (const auto &[what, line] : lines)
        all.push_back({"RFC 9112 5", what, and_also(line), kBad});
    all.push_back({"RFC 9112 5", "a folded first line", with(kHost, " " + kHost), kBad});
    all.push_back(
        {"RFC 9112 2.2", "bare line feeds only", "GET / HTTP/1.1\nHost: localhost\n\n", kBad});
    all.push_back({"RFC 9112 2.2", "a bare line feed behind the request line",
                   with(kGet, "GET / HTTP/1.1\n"), kBad});
    all.push_back({"RFC 9112 3", "NUL in the target", get("/\0"s), kBad});
    all.push_back(
        {"RFC 9112 3", "no HTTP at all", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", kBad});
    try_requests(all);
}

TEST_CASE("RFC 9112 6: a handshake has no body, and nothing behind a refusal is a request")
{
    const std::string next = kGet + kHost + "\r\n";
    try_requests({
        {"RFC 9112 6.2", "Content-Length: 5", and_also("Content-Length: 5\r\n") + "hello", kBad},
        {"RFC 9112 6.2", "Content-Length twice",
         and_also("Content-Length: 0\r\nContent-Length: 5\r\n") + "hello", kBad},
        {"RFC 9112 6.2", "Content-Length: -1", and_also("Content-Length: -1\r\n"), kBad},
        {"RFC 9112 6.2", "Content-Length: x", and_also("Content-Length: x\r\n"), kBad},
        {"RFC 9112 6.1", "chunks", and_also("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", kBad},
        {"RFC 9112 6.1", "chunks and a length",
         and_also("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n" + next,
         kBad},
        {"RFC 9112 6.1", "an unknown coding", and_also("Transfer-Encoding: xchunked\r\n"), kBad},
        {"RFC 9112 9.3", "a second request behind a refused upgrade",
         with(kVersion, "Sec-WebSocket-Version: 8\r\n") + next, kUpgradeRequired, kOurVersion},
        {"RFC 9112 9.3", "a valid upgrade behind a refused one", with(kKeyLine, "") + with("", ""),
         kBad},
        {"RFC 9112 9.3", "a second request behind plain HTTP", next + next, kUpgradeRequired,
         kOurVersion},
    });
}

TEST_CASE(
    "10.4: 16384 bytes of headers are taken, in any number of lines, more is refused with 431")
{
    const std::string too_large = "431 Request Header Fields Too Large";
    const auto of_length = [](size_t len) {
        const size_t rest = with("", "").size() + std::string("X: \r\n").size();
        return and_also("X: " + std::string(len - rest, 'x') + "\r\n");
    };
    REQUIRE(of_length(16384).size() == 16384);
    const std::string line = "X: y\r\n";
    const std::string large(17000, 'x');
    try_requests({
        {"10.4", "16384 bytes", of_length(16384)},
        {"10.4", "16385 bytes", of_length(16385), too_large},
        {"10.4", "17000 bytes", of_length(17000), too_large},
        {"10.4", "a name of 17000 bytes", and_also(large + ": y\r\n"), too_large},
        {"10.4", "a target of 17000 bytes", get("/" + large), too_large},
        {"10.4", "a method of 17000 bytes", with("GET", std::string(17000, 'G')), too_large},
        {"10.4", "101 lines", and_also(repeated(line, 96))},
        {"10.4", "two thousand lines", and_also(repeated(line, 2000))},
        {"10.4", "three thousand lines", and_also(repeated(line, 3000)), too_large},
    });
}
