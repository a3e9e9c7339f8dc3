// compression_cases.cpp: RFC 7692 6 and 7.2: messages that come compressed, in every form that
// DEFLATE has. What is no DEFLATE, or too much of it, is in corrupt_cases.cpp; what is offered and
// accepted in offer_cases.cpp.
#include "exchange.h"
#include "tests/support/deflate_stream.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace conformance;
using std::string_literals::operator""s;

namespace {

constexpr const char *kOffer = "permessage-deflate; client_max_window_bits";
constexpr unsigned kRsv1 = 4;

// The payloads of RFC 7692 7.2.3, all of them "Hello".
const std::string kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
const std::string kHelloAgain = "\xf2\x00\x11\x00\x00"s; // refers to the one before
const std::string kHelloStored = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s;
const std::string kHelloFinal = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s; // BFINAL is 1
const std::string kHelloInTwoBlocks = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s;
const std::string kEmpty = "\x00"s;

std::string compressed(std::string_view payload, unsigned opcode = kText)
{
    return client::frame({.rsv = kRsv1, .opcode = opcode, .payload = std::string(payload)});
}

std::string first(std::string_view payload, unsigned opcode = kText)
{
    return client::frame(
        {.fin = false, .rsv = kRsv1, .opcode = opcode, .payload = std::string(payload)});
}

// Text in which much is said again, near and far.
std::string prices(size_t bytes)
{
    std::string text;
    for (size_t n = 0; text.size() < bytes; n++)
        text +=
            "{\"bid\":1." + std::to_string(n * 7919 % 10007) + ",\"n\":" + std::to_string(n) + "}";
    text.resize(bytes);
    return text;
}

// Blocks without compression, and nothing else.
std::string stored(std::string_view plain, size_t block = 65535)
{
    std::string out;
    for (size_t at = 0; at < plain.size(); at += block) {
        const size_t len = std::min(block, plain.size() - at);
        const char low = static_cast<char>(len & 0xff);
        const char high = static_cast<char>(len >> 8);
        out.append({'\0', low, high, static_cast<char>(~low), static_cast<char>(~high)});
        out.append(plain.substr(at, len));
    }
    return out + '\0';
}

std::vector<Frame> hellos(size_t count) { return std::vector<Frame>(count, server::text("Hello")); }

} // namespace

// RFC 7692 5: "If a server responds with a valid PMCE element ... both endpoints MUST use ..."
// RFC 7692 6.2: "... MUST use the following algorithm to receive ... a compressed message."
// RFC 7692 7.2.2: "Otherwise, the server MUST decompress each new message using ... message."
TEST_CASE("7.2.3: the examples of the RFC")
{
    using namespace client;
    std::vector<Case> cases = {
        echoes("7.2.3.1", "one block", compressed(kHello), hellos(1)),
        echoes("7.2.3.1", "in two fragments", first(kHello.substr(0, 3)) + last(kHello.substr(3)),
               hellos(1)),
        echoes("7.2.3.2", "the second refers to the first",
               compressed(kHello) + compressed(kHelloAgain), hellos(2)),
        echoes("7.2.3.3", "a block without compression", compressed(kHelloStored), hellos(1)),
        echoes("7.2.3.4", "a block with BFINAL", compressed(kHelloFinal), hellos(1)),
        echoes("7.2.3.5", "two blocks", compressed(kHelloInTwoBlocks), hellos(1)),
        echoes("7.2.3.6", "the empty message", compressed(kEmpty), {server::text("")}),
    };
    std::string all;
    for (const std::string &payload : {kHello, kHelloAgain, kHelloStored, kHelloAgain, kHelloFinal,
                                       kHelloAgain, kHelloInTwoBlocks, kHelloAgain})
        all += compressed(payload);
    cases.push_back(echoes("7.2.3", "one behind the other", all, hellos(8)));
    try_cases(offering("permessage-deflate", cases));
    // Without takeover those that do not refer back.
    cases.erase(cases.begin() + 2);
    cases.pop_back();
    try_cases(offering("permessage-deflate; client_no_context_takeover", cases));
}

TEST_CASE("7.2.3.4: behind a block with BFINAL the next message is as any other")
{
    using namespace client;
    const std::string without = kHelloFinal.substr(0, kHelloFinal.size() - 1); // the byte 00
    std::vector<Case> cases;
    for (const std::string &payload : {kHelloFinal, without}) {
        const std::string name = payload == without ? "without a byte 00" : "with a byte 00";
        cases.push_back(echoes("7.2.3.4", name + ", and another message",
                               compressed(payload) + compressed(kHello), hellos(2)));
        cases.push_back(echoes("7.2.3.4", name + ", and one that refers to it",
                               compressed(payload) + compressed(kHelloAgain), hellos(2)));
        cases.push_back(echoes("7.2.3.4", name + ", and one that is not compressed",
                               compressed(payload) + text("Hello"), hellos(2)));
        cases.push_back(echoes("7.2.3.4", name + ", in fragments of one byte",
                               first(payload.substr(0, 1)) + more(payload.substr(1, 1)) +
                                   more(payload.substr(2, 1)) + last(payload.substr(3)) +
                                   compressed(kHelloAgain),
                               hellos(2)));
        cases.push_back(echoes("7.2.3.4", name + ", and an empty last fragment",
                               first(payload) + last("") + compressed(kHelloAgain), hellos(2)));
        cases.push_back(echoes("7.2.3.4", name + ", two of them in one message",
                               compressed(without + payload) + compressed(kHelloAgain),
                               {server::text("HelloHello"), server::text("Hello")}));
    }
    cases.push_back(echoes("7.2.3.4", "an empty block with BFINAL", compressed("\x03\x00\x00"s),
                           {server::text("")}));
    cases.push_back(echoes("7.2.3.4", "a block behind it, which refers to it",
                           compressed(without + kHelloAgain), {server::text("HelloHello")}));
    cases.push_back(echoes("7.2.3.4", "a block in front of it, which it refers to",
                           compressed(kHello + "\x00\x00\xff\xff\xf3\x00\x11\x00\x00"s),
                           {server::text("HelloHello")}));
    try_cases(offering(kOffer, cases));
}

TEST_CASE("7.2.2: a message without a byte of payload is empty, and the next one goes well")
{
    using namespace client;
    const std::vector<Frame> out = {server::text(""), server::text("Hello"), server::text("Hello")};
    const std::string behind = compressed(kHello) + compressed(kHelloAgain);
    std::vector<Case> cases = {
        echoes("7.2.2", "one frame", compressed("") + behind, out),
        echoes("7.2.2", "two fragments", first("") + last("") + behind, out),
        echoes("7.2.2", "an empty first fragment", first("") + last(kHello), hellos(1)),
        echoes("7.2.2", "an empty fragment between",
               first(kHello.substr(0, 2)) + more("") + last(kHello.substr(2)), hellos(1)),
        echoes("7.2.2", "an empty last fragment", first(kHello) + last(""), hellos(1)),
        echoes("7.2.2", "between two of which the one refers to the other",
               compressed(kHello) + compressed("") + compressed(kHelloAgain),
               {server::text("Hello"), server::text(""), server::text("Hello")}),
        echoes("7.2.2", "binary", compressed("", kBinary), {server::binary("")}),
        echoes("7.2.2", "thousand empty blocks",
               compressed(repeated("\x00\x00\x00\xff\xff"s, 1000) + kEmpty), {server::text("")}),
    };
    try_cases(offering(kOffer, cases));
}

// RFC 7692 6.2: "... MUST use the following algorithm to receive ... an uncompressed message."
// RFC 7692 6.1: "... MUST use the following algorithm to send ... an uncompressed message."
TEST_CASE("6.2: messages with and without compression follow each other")
{
    using namespace client;
    std::vector<Case> cases = {
        echoes("6.2", "none is referred to that is not compressed",
               compressed(kHello) + text("xxxxxxxxxx") + compressed(kHelloAgain),
               {server::text("Hello"), server::text("xxxxxxxxxx"), server::text("Hello")}),
        echoes("6.2", "fragments of both",
               fragment(kText, "Hel") + last("lo") + first(kHello.substr(0, 4)) +
                   last(kHello.substr(4)) + fragment(kText, "Hel") + last("lo"),
               hellos(3)),
        echoes("6.2", "text and binary",
               compressed(kHello, kBinary) + compressed(kHelloAgain) + binary("b"),
               {server::binary("Hello"), server::text("Hello"), server::binary("b")}),
    };
    Case in_steps;
    in_steps.section = "6.2";
    in_steps.sentence = "a ping while nothing more comes of the message";
    in_steps.steps = {{first(kHello.substr(0, 3)) + ping("1"), {server::pong("1")}},
                      {more(kHello.substr(3, 1)) + ping("2"), {server::pong("2")}},
                      {last(kHello.substr(4)), hellos(1)}};
    in_steps.messages = {{kText, "Hello"}};
    cases.push_back(in_steps);
    cases.push_back(
        echoes("6.2", "control frames between fragments",
               ping("0") + first(kHello.substr(0, 1)) + ping("1") + more("") + pong("x") +
                   more(kHello.substr(1, 3)) + ping("2") + last(kHello.substr(4)),
               {server::pong("0"), server::pong("1"), server::pong("2"), server::text("Hello")}));
    try_cases(offering(kOffer, cases));
}

// RFC 7692 6.1: "... MUST use the following algorithm to send ... a compressed message."
// RFC 7692 7.2.1: "If ... "server_max_window_bits" ... the server MUST NOT use an LZ77 ..."
// RFC 7692 7.2.1: "An endpoint MUST NOT use an LZ77 sliding window longer than 32,768 bytes ..."
// RFC 7692 7.2.2: "Otherwise, the server MUST use a 32,768-byte LZ77 sliding window ..."
TEST_CASE("7.1.2: windows of every size, in both directions")
{
    const Thoroughness few = {.cuts = 2, .bytewise = 0};
    for (int bits = 8; bits <= 15; bits++) {
        const std::string size = std::to_string(bits);
        std::vector<Case> cases;
        for (const size_t len : Sizes{100, 1000, 40'000, 150'000}) {
            test::DeflateStream stream(std::min(bits, 12), 9); // as the server asks for
            const std::string plain = prices(len);
            const std::string again = plain.substr(plain.size() / 3);
            std::string in = compressed(stream.feed(plain));
            in += compressed(stream.feed(again));
            cases.push_back(echoes("7.1.2", size + " bits, " + std::to_string(len) + " bytes", in,
                                   {server::text(plain), server::text(again)}));
        }
        try_cases(offering("permessage-deflate; server_max_window_bits=" + size +
                               "; client_max_window_bits=" + size,
                           cases),
                  few);
    }
    test::DeflateStream stream(15, 9);
    const std::string plain = prices(100'000) + prices(100'000); // the same, too far away
    std::string in;
    std::vector<Frame> out;
    for (size_t at = 0; at < plain.size(); at += 30'000) {
        const std::string part = plain.substr(at, 30'000);
        in += compressed(stream.feed(part));
        in += compressed(stream.feed(part));
        out.insert(out.end(), 2, server::text(part));
    }
    try_cases(offering("permessage-deflate", {echoes("7.1.2", "the largest", in, out)}), few);
}

// RFC 7692 7.2.1: "If ... "server_no_context_takeover" ... the server MUST start ..."
TEST_CASE("7.1.1: without takeover each message stands alone")
{
    const std::string plain = prices(2000);
    test::DeflateStream stream;
    const std::string payload = stream.feed(plain);
    for (const char *offer :
         {"permessage-deflate; server_no_context_takeover",
          "permessage-deflate; client_no_context_takeover",
          "permessage-deflate; client_no_context_takeover; server_no_context_takeover"})
        try_cases(offering(offer, {echoes("7.1.1", offer, repeated(compressed(payload), 3),
                                          std::vector<Frame>(3, server::text(plain)))}),
                  {.cuts = 20, .bytewise = 1000});
}

TEST_CASE("7.2.2: blocks of every kind make a message, whatever fragments they come in")
{
    using namespace client;
    const std::string plain = prices(60'000);
    const std::vector<Frame> out = {server::text(plain)};
    std::vector<Case> cases = {
        echoes("7.2.2", "blocks without compression", compressed(stored(plain)), out),
        echoes("7.2.2", "hundreds of these", compressed(stored(plain, 100)), out),
    };
    for (const int level : {0, 1, 9}) {
        test::DeflateStream stream(15, level);
        const std::string payload = stream.feed(plain);
        const std::string name = "level " + std::to_string(level);
        cases.push_back(echoes("7.2.2", name, compressed(payload), out));
        std::string in = first(payload.substr(0, 1));
        for (size_t at = 1; at < payload.size(); at += 251)
            in += more(payload.substr(at, 251));
        cases.push_back(echoes("7.2.2", name + ", in fragments", in + last(""), out));
    }
    test::DeflateStream flushed;
    std::string in = first(flushed.feed(plain.substr(0, 10), false));
    for (size_t at = 10; at < plain.size(); at += 1000)
        in += more(flushed.feed(plain.substr(at, 1000), false));
    cases.push_back(echoes("7.2.2", "flushed at each fragment", in + last(kEmpty), out));
    try_cases(offering("permessage-deflate", cases), {.cuts = 10, .bytewise = 0});
}
