// frame_cases.cpp: RFC 6455 5.1 to 5.3, 5.5 to 5.8: masks, lengths, reserved bits and
// opcodes, pings and pongs. Fragments are in fragment_cases.cpp.
#include "exchange.h"

#include <doctest/doctest.h>

using namespace conformance;

namespace {

// Bytes of every value, over and over.
std::string any_bytes(size_t len)
{
    std::string out(len, '\0');
    for (size_t i = 0; i < len; i++)
        out[i] = static_cast<char>(i * 7 + i / 256);
    return out;
}

std::string number(size_t n) { return std::to_string(n); }

} // namespace

// RFC 6455 6.2: "Incoming data MUST be parsed as WebSocket frames as defined in Section 5.2."
TEST_CASE("5.7: the examples of the RFC")
{
    using std::string_literals::operator""s;
    const std::string hello = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s;
    const std::string ping = "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s;
    REQUIRE(client::text("Hello") == hello);
    REQUIRE(client::ping("Hello") == ping);
    try_cases({
        echoes("5.7", "a masked text message", hello, {server::text("Hello")}),
        echoes("5.7", "a masked ping, answered with the same body", ping, {server::pong("Hello")}),
        fails("5.7", "an unmasked text message", "\x81\x05\x48\x65\x6c\x6c\x6f"s, 1002, 2),
    });
}

// RFC 6455 6.1: "An endpoint MUST encapsulate the /data/ in a WebSocket frame ..."
TEST_CASE("5.2: every length from 0 to 300, and those around the 16-bit and 64-bit forms")
{
    std::vector<Case> cases;
    std::vector<size_t> lengths;
    for (size_t len = 0; len <= 300; len++)
        lengths.push_back(len);
    for (size_t len : Sizes{1000, 4096, 65534, 65535, 65536, 65537, 69999, 70000})
        lengths.push_back(len);
    for (size_t len : lengths) {
        const std::string text(len, '*');
        const std::string bytes = any_bytes(len);
        cases.push_back(echoes("5.2", number(len) + " bytes of text", client::text(text),
                               {server::text(text)}));
        cases.push_back(echoes("5.2", number(len) + " bytes of binary", client::binary(bytes),
                               {server::binary(bytes)}));
    }
    try_cases(cases, {.cuts = 10, .bytewise = 150});
}

// RFC 6455 5.2: "... the minimal number of bytes MUST be used to encode the length, ..."
TEST_CASE("5.2: a length in more bytes than it needs fails the connection")
{
    std::vector<Case> cases;
    for (size_t len : Sizes{0, 1, 2, 5, 124, 125})
        cases.push_back(fails("5.2", number(len) + " in 16 bits",
                              client::frame({.payload = std::string(len, '*'), .length_bytes = 2}),
                              1002, 4));
    for (size_t len : Sizes{0, 1, 125, 126, 127, 256, 65534, 65535})
        cases.push_back(fails("5.2", number(len) + " in 64 bits",
                              client::frame({.payload = std::string(len, '*'), .length_bytes = 8}),
                              1002, 8));
    for (unsigned opcode : {kBinary, kContinuation})
        cases.push_back(fails_behind(
            "5.2", "5 in 16 bits, with opcode " + number(opcode),
            opcode == kContinuation ? client::fragment(kText, "x") : "", {},
            client::frame({.opcode = opcode, .payload = "12345", .length_bytes = 2}), 1002, 4));
    try_cases(cases);
}

// RFC 6455 5.2: "... (the most significant bit MUST be 0) ..."
TEST_CASE("5.2: a 64-bit length with the top bit set fails the connection")
{
    std::vector<Case> cases;
    for (uint64_t len : {0x8000000000000000u, 0x8000000000000005u, 0xffffffffffffffffu})
        for (unsigned opcode : {kText, kBinary})
            cases.push_back(fails("5.2", hex(test::close_payload(static_cast<unsigned>(len >> 48))),
                                  client::frame({.opcode = opcode, .announced = len}), 1002, 3));
    try_cases(cases);
}

// RFC 6455 5.2: "If a nonzero value is received ... the receiving endpoint MUST _Fail ..."
TEST_CASE("5.2: reserved bits without an extension fail the connection, with every opcode")
{
    std::vector<Case> cases;
    for (unsigned rsv = 1; rsv <= 7; rsv++)
        for (unsigned opcode : {kContinuation, kText, kBinary, kClose, kPing, kPong}) {
            const std::string bad = client::frame({.rsv = rsv, .opcode = opcode, .payload = "ok"});
            const std::string name = "RSV " + number(rsv) + ", opcode " + number(opcode);
            cases.push_back(fails("5.2", name, bad, 1002, 1));
        }
    for (unsigned rsv : Numbers{4, 2, 1}) {
        const std::string bad = client::frame({.rsv = rsv, .payload = "bad"});
        cases.push_back(fails_behind(
            "5.2", "RSV " + number(rsv) + " behind a message, before a ping", client::text("good"),
            {server::text("good")}, bad + client::ping("never"), 1002, 1));
        cases.push_back(fails_behind(
            "5.2", "RSV " + number(rsv) + " inside a message", client::fragment(kText, "good"), {},
            client::frame({.rsv = rsv, .opcode = kContinuation}), 1002, 1));
        cases.push_back(fails("5.2", "RSV " + number(rsv) + " in a first fragment",
                              client::frame({.fin = false, .rsv = rsv, .payload = "x"}), 1002, 1));
    }
    try_cases(cases);
}

// RFC 6455 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail ..."
TEST_CASE("5.2: reserved opcodes fail the connection")
{
    std::vector<Case> cases;
    for (unsigned opcode : Numbers{0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf}) {
        const std::string name = "opcode " + number(opcode);
        const std::string bad = client::frame({.opcode = opcode, .payload = "reserved"});
        cases.push_back(fails("5.2", name, bad, 1002, 1));
        cases.push_back(fails("5.2", name + ", empty", client::frame({.opcode = opcode}), 1002, 1));
        cases.push_back(fails("5.2", name + " without FIN",
                              client::frame({.fin = false, .opcode = opcode}), 1002, 1));
        cases.push_back(fails_behind("5.2", name + " behind a message, before a ping",
                                     client::text("good"), {server::text("good")},
                                     bad + client::ping("never"), 1002, 1));
        cases.push_back(fails_behind("5.2", name + " inside a message",
                                     client::fragment(kBinary, "good"), {}, bad, 1002, 1));
    }
    try_cases(cases);
}

// RFC 6455 5.1: "The server MUST close the connection upon receiving a frame ... not masked."
TEST_CASE("5.1: a frame that is not masked fails the connection")
{
    std::vector<Case> cases;
    for (unsigned opcode : {kText, kBinary, kClose, kPing, kPong})
        for (size_t len : Sizes{0, 2, 125})
            cases.push_back(
                fails("5.1", "opcode " + number(opcode) + ", " + number(len) + " bytes",
                      client::frame(
                          {.opcode = opcode, .payload = std::string(len, '\x03'), .masked = false}),
                      1002, 2));
    for (size_t len : Sizes{126, 65536})
        cases.push_back(fails("5.1", number(len) + " bytes",
                              client::frame({.payload = std::string(len, '*'), .masked = false}),
                              1002, 2));
    cases.push_back(fails_behind("5.1", "a continuation frame", client::fragment(kText, "x"), {},
                                 client::frame({.opcode = kContinuation, .masked = false}), 1002,
                                 2));
    cases.push_back(fails_behind("5.1", "behind a masked message", client::text("good"),
                                 {server::text("good")},
                                 client::frame({.payload = "bad", .masked = false}), 1002, 2));
    try_cases(cases);
}

// RFC 6455 6.2: "A server MUST remove masking for data frames received from a client ..."
TEST_CASE("5.3: every byte is unmasked with its byte of the frame's own key")
{
    std::vector<Case> cases;
    for (uint32_t key : {0u, 0xffffffffu, 0x01020304u, 0x000000ffu, 0xff000000u, 0x80808080u})
        for (size_t len : Sizes{1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 65, 130})
            cases.push_back(
                echoes("5.3", "key " + number(key) + ", " + number(len) + " bytes",
                       client::frame({.opcode = kBinary, .payload = any_bytes(len), .key = key}),
                       {server::binary(any_bytes(len))}));
    cases.push_back(echoes(
        "5.3", "another key in each fragment",
        client::frame({.fin = false, .payload = "one ", .key = 0x11223344}) +
            client::frame({.fin = false, .opcode = kContinuation, .payload = "two ", .key = 0}) +
            client::frame({.opcode = kContinuation, .payload = "three", .key = 0xdeadbeef}),
        {server::text("one two three")}));
    try_cases(cases, {.cuts = 60, .bytewise = 300});
}

// RFC 6455 6.1: "The opcode ... of the first frame containing the data MUST be set ..."
// RFC 6455 6.1: "The frame(s) that have been formed MUST be transmitted ..."
// RFC 6455 6.2: "... the endpoint MUST note the /type/ of the data ..."
TEST_CASE("5.6: a message is echoed as what it is, with every character and byte there is")
{
    std::string ascii;
    for (char c = 0; c < 0x7f; c++)
        ascii.push_back(c);
    try_cases({
        echoes("5.6", "text with NUL and every other ASCII character", client::text(ascii),
               {server::text(ascii)}),
        echoes("5.6", "binary with every byte", client::binary(any_bytes(256)),
               {server::binary(any_bytes(256))}),
        echoes("5.6", "an empty text and an empty binary", client::text("") + client::binary(""),
               {server::text(""), server::binary("")}),
        echoes("5.6", "five messages in one go",
               client::text("1") + client::binary("2") + client::text("") + client::text("4") +
                   client::binary("5"),
               {server::text("1"), server::binary("2"), server::text(""), server::text("4"),
                server::binary("5")}),
    });
}

// RFC 6455 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame ..."
// RFC 6455 5.5.3: "A Pong frame sent in response ... must have identical "Application data" ..."
// RFC 6455 6.2: "If a control frame ... is received, the frame MUST be handled ..."
TEST_CASE("5.5.2: a ping is answered by a pong with the same body, of every length")
{
    std::vector<Case> cases;
    for (size_t len = 0; len <= 125; len++)
        cases.push_back(echoes("5.5.2", number(len) + " bytes", client::ping(any_bytes(len)),
                               {server::pong(any_bytes(len))}));
    cases.push_back(echoes("5.5.2", "before the message behind it",
                           client::ping("first") + client::text("second"),
                           {server::pong("first"), server::text("second")}));
    std::string pings;
    std::vector<Frame> pongs;
    for (size_t i = 0; i < 10; i++) {
        pings += client::ping("ping " + number(i));
        pongs.push_back(server::pong("ping " + number(i)));
    }
    cases.push_back(echoes("5.5.3", "ten at once: the latest at least", pings, pongs));
    Case one_by_one = echoes("5.5.2", "ten, each behind the answer to the last", "", {});
    one_by_one.steps.clear();
    for (size_t i = 0; i < 10; i++)
        one_by_one.steps.push_back({client::ping(number(i)), {server::pong(number(i))}});
    cases.push_back(one_by_one);
    try_cases(cases, {.cuts = 20, .bytewise = 300});
}

TEST_CASE("5.5.3: a pong nobody asked for is not answered")
{
    try_cases({
        echoes("5.5.3", "empty", client::pong(), {}),
        echoes("5.5.3", "with a body", client::pong("unsolicited"), {}),
        echoes("5.5.3", "of 125 bytes", client::pong(std::string(125, '\xfe')), {}),
        echoes("5.5.3", "before a ping", client::pong("unsolicited") + client::ping("ping"),
               {server::pong("ping")}),
        echoes("5.5.3", "behind a message", client::text("x") + client::pong("x"),
               {server::text("x")}),
    });
}

// RFC 6455 5.5: "All control frames MUST have a payload length of 125 bytes or less ..."
TEST_CASE("5.5: a control frame of more than 125 bytes fails the connection")
{
    std::vector<Case> cases;
    for (unsigned opcode : {kClose, kPing, kPong}) {
        const std::string name = "opcode " + number(opcode) + ", ";
        for (size_t len : Sizes{126, 127, 1000, 65535, 65536})
            cases.push_back(fails(
                "5.5", name + number(len) + " bytes",
                client::frame({.opcode = opcode, .payload = std::string(len, '\x03')}), 1002, 2));
        for (int length_bytes : {2, 8})
            cases.push_back(
                fails("5.5", name + "a short one in " + std::to_string(8 * length_bytes) + " bits",
                      client::frame(
                          {.opcode = opcode, .payload = "\x03\xe8", .length_bytes = length_bytes}),
                      1002, 2));
        cases.push_back(fails_behind(
            "5.5", name + "126 bytes inside a message", client::fragment(kText, "x"), {},
            client::frame({.opcode = opcode, .payload = std::string(126, '*')}), 1002, 2));
    }
    try_cases(cases);
}

// RFC 6455 5.4: "Control frames themselves MUST NOT be fragmented."
TEST_CASE("5.5: a control frame in fragments fails the connection")
{
    std::vector<Case> cases;
    for (unsigned opcode : {kClose, kPing, kPong}) {
        const std::string first = client::fragment(opcode, "\x03\xe8");
        const std::string name = "opcode " + number(opcode);
        cases.push_back(fails("5.5", name, first, 1002, 1));
        cases.push_back(fails("5.5", name + ", with its end", first + client::last("x"), 1002, 1));
        cases.push_back(fails("5.5", name + ", empty", client::fragment(opcode, ""), 1002, 1));
        cases.push_back(fails_behind("5.5", name + " inside a message",
                                     client::fragment(kBinary, "x"), {}, first, 1002, 1));
    }
    try_cases(cases);
}
