// corrupt_cases.cpp: RFC 7692: compressed messages that must fail the connection: reserved bits
// where there may be none, no DEFLATE, no UTF-8, more than the limits allow. What is right is in
// compression_cases.cpp.
#include "exchange.h"
#include "styles.h"
#include "tests/support/deflate_stream.h"

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>

using namespace conformance;
using std::string_literals::operator""s;

namespace {

constexpr const char *kOffer = "permessage-deflate; client_max_window_bits";
constexpr unsigned kRsv1 = 4;
constexpr size_t kStride = 16384; // what the server inflates at a time

const std::string kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;      // RFC 7692 7.2.3.1
const std::string kHelloAgain = "\xf2\x00\x11\x00\x00"s;         // 7.2.3.2
const std::string kHelloFinal = "\xf3\x48\xcd\xc9\xc9\x07\x00"s; // 7.2.3.4, without a byte 00
const std::string kTail = "\x00\x00\xff\xff"s;

std::string compressed(std::string_view payload, unsigned opcode = kText)
{
    return client::frame({.rsv = kRsv1, .opcode = opcode, .payload = std::string(payload)});
}

std::string first(std::string_view payload, unsigned opcode = kText)
{
    return client::frame(
        {.fin = false, .rsv = kRsv1, .opcode = opcode, .payload = std::string(payload)});
}

std::string deflated(std::string_view plain) { return test::DeflateStream(15, 9).feed(plain); }

// A message that inflates to more than the limit. By design, none holds for what comes in parts.
Case exceeds(const std::string &name, const std::string &in, const Frame &echo,
             size_t known_after = 0)
{
    if (has_no_limits())
        return echoes("10.4", name + ": taken in parts", in, {echo});
    return fails("10.4", name, in, 1009, known_after);
}

// As zlib reads a whole message; none if it is no DEFLATE, or not complete.
std::optional<std::string> inflated(const std::string &payload)
{
    try {
        return test::InflateStream().feed(payload, true);
    } catch (const std::runtime_error &) {
        return std::nullopt;
    }
}

// Text whose last byte but one, of len, begins a character of two bytes, which behind replaces.
std::string text_with(size_t len, const std::string &behind)
{
    return std::string(len - 1, 'a') + "\xc3" + behind;
}

} // namespace

// RFC 7692 6.1: "An endpoint receiving such a frame MUST _Fail the WebSocket Connection_."
TEST_CASE("6.1: RSV1 on a continuation or on a control frame fails the connection")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned opcode : {kClose, kPing, kPong})
        for (const char *payload : {"", "ok"})
            cases.push_back(
                fails("6.1", "RSV1 on opcode " + std::to_string(opcode) + ", \"" + payload + "\"",
                      frame({.rsv = kRsv1, .opcode = opcode, .payload = payload}), 1002, 1));
    for (bool fin : {false, true}) {
        const std::string bad =
            frame({.fin = fin, .rsv = kRsv1, .opcode = kContinuation, .payload = kHello});
        const std::string name = fin ? "the last fragment" : "a fragment";
        cases.push_back(fails("6.1", name + " of nothing", bad, 1002, 1));
        cases.push_back(fails_behind("6.1", name, first(kHello.substr(0, 3)), {}, bad, 1002, 1));
        cases.push_back(fails_behind("6.1", name + " of what is not compressed",
                                     fragment(kText, "x"), {}, bad, 1002, 1));
    }
    cases.push_back(fails_behind("6.1", "a new message inside", first(kHello.substr(0, 3)), {},
                                 compressed(kHello), 1002, 1));
    try_cases(offering(kOffer, cases));
}

TEST_CASE("5.2: the other reserved bits fail the connection with compression, too")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned rsv : Numbers{1, 2, 3, 5, 6, 7})
        for (unsigned opcode : {kText, kBinary, kPing}) {
            const std::string name =
                "RSV " + std::to_string(rsv) + ", opcode " + std::to_string(opcode);
            cases.push_back(fails_behind("5.2", name, compressed(kHello), {server::text("Hello")},
                                         frame({.rsv = rsv, .opcode = opcode, .payload = kHello}),
                                         1002, 1));
        }
    for (unsigned opcode : Numbers{0x3, 0x7})
        cases.push_back(fails("5.2", "a reserved opcode, with RSV1",
                              frame({.rsv = kRsv1, .opcode = opcode, .payload = kHello}), 1002, 1));
    try_cases(offering(kOffer, cases));
}

TEST_CASE("7.2.2: what is no DEFLATE fails the connection with 1007")
{
    using namespace client;
    const std::string far = "\xf2\x48\x05\x00\x00\x00\xff\xff"s + kHelloAgain;
    std::vector<Case> cases = {
        fails("7.2.2", "a block of no kind", compressed("\x06"s), 1007),
        fails("7.2.2", "a length that is not said twice",
              compressed("\x00\x05\x00\x00\x00xxxxx\x00"s), 1007),
        fails("7.2.2", "a reference to before the first message", compressed(kHelloAgain), 1007),
        fails("7.2.2", "codes of Huffman that cannot be", compressed("\x04\xff\xff\xff\xff\xff"s),
              1007),
        fails("7.2.2", "plain text", compressed("Hello, which is not compressed"), 1007),
        fails("7.2.2", "binary", compressed("\xff\xff\xff", kBinary), 1007),
        fails("7.2.2", "behind a block with BFINAL", compressed(kHelloFinal + "\x07"), 1007),
        fails("7.2.2", "in the first fragment", first("\x06"s) + last(kHello), 1007,
              first("\x06"s).size()),
        fails_behind("7.2.2", "in a later fragment", first(kHello), {}, last("\xff\xff\xff\xff"),
                     1007),
        fails_behind("7.2.2", "in a fragment behind a ping", first(kHello) + ping("p"),
                     {server::pong("p")}, more("\xff\xff\xff\xff") + last(""), 1007,
                     more("\xff\xff\xff\xff").size()),
        fails_behind("7.2.2", "behind good messages", compressed(kHello) + compressed(kHelloAgain),
                     {server::text("Hello"), server::text("Hello")},
                     compressed("\x06"s) + text("never"), 1007, compressed("\x06"s).size()),
        fails_behind("7.2.2", "a reference to what was not compressed", text("Hello"),
                     {server::text("Hello")}, compressed(kHelloAgain), 1007),
    };
    try_cases(offering(kOffer, cases));
    try_cases(
        offering("permessage-deflate; client_no_context_takeover",
                 {fails_behind("7.1.1.2", "a reference to another message", compressed(kHello),
                               {server::text("Hello")}, compressed(kHelloAgain), 1007)}));
}

// Whatever zlib makes of it: some are complete where they are cut.
TEST_CASE("7.2.2: a message that is cut off fails the connection with 1007")
{
    using namespace client;
    std::vector<Case> cases;
    size_t cut = 0;
    const std::string plain = "A message, and a message again: \xe2\x82\xac, and a message.";
    for (const std::string &whole :
         {kHello, deflated(plain), deflated(repeated("x", 1000)), kHelloFinal,
          "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s}) {
        for (size_t len = 1; len < whole.size(); len++) {
            const std::string payload = whole.substr(0, len);
            const std::string name = hex(payload);
            if (const std::optional<std::string> read = inflated(payload)) {
                cases.push_back(
                    echoes("7.2.2", name, compressed(payload, kBinary), {server::binary(*read)}));
                continue;
            }
            cut++;
            cases.push_back(fails("7.2.2", name, compressed(payload, kBinary), 1007));
        }
    }
    CHECK(cut > 60);
    cases.push_back(fails("7.2.2", "in fragments", first(kHello.substr(0, 3)) + last(""), 1007));
    cases.push_back(fails("7.2.2", "the tail is there already", compressed(kHello + kTail), 1007));
    cases.push_back(
        fails("7.2.2", "half of the tail", compressed(kHello + kTail.substr(0, 2)), 1007));
    cases.push_back(echoes("7.2.2", "another block behind the tail",
                           compressed(kHello + kTail + kHello), {server::text("HelloHello")}));
    try_cases(offering(kOffer, cases), {.cuts = 1, .bytewise = 0});
}

TEST_CASE("5.6: text that is not UTF-8 once it is inflated fails the connection with 1007")
{
    using namespace client;
    std::vector<Case> cases;
    const auto bad = [&](const std::string &name, const std::string &plain) {
        cases.push_back(fails("5.6", name, compressed(deflated(plain)), 1007));
        cases.push_back(echoes("5.6", name + ", binary", compressed(deflated(plain), kBinary),
                               {server::binary(plain)}));
    };
    bad("a byte", "\xff");
    bad("in the middle", "ab\xc3(cd");
    bad("the end is inside a character", "abc\xe2\x82");
    for (const size_t len : Sizes{kStride - 1, kStride, kStride + 1, 2 * kStride}) {
        const std::string name = " at " + std::to_string(len);
        const std::string good = text_with(len, "\xa9 and more");
        cases.push_back(
            echoes("5.6", "a character" + name, compressed(deflated(good)), {server::text(good)}));
        bad("none" + name, text_with(len, "( and more"));
        bad("none is complete" + name, text_with(len, ""));
    }
    test::DeflateStream stream;
    const std::string begin = stream.feed("abc\xe2\x82", false);
    const std::string end = stream.feed("\xac!");
    cases.push_back(echoes("5.6", "a character in two fragments", first(begin) + last(end),
                           {server::text("abc\xe2\x82\xac!")}));
    cases.push_back(echoes("5.6", "a message that begins anew behind one that is binary",
                           compressed(deflated("\xe2\x82"), kBinary) + compressed(deflated("x")),
                           {server::binary("\xe2\x82"), server::text("x")}));
    cases.push_back(fails("5.6", "known in the first fragment",
                          first(test::DeflateStream().feed("\xff", false)) + last(kHello), 1007,
                          first(test::DeflateStream().feed("\xff", false)).size()));
    cases.push_back(
        fails("5.6", "the message ends inside a character", first(begin) + last("\x00"s), 1007));
    cases.push_back(fails_behind("5.6", "plain text behind compressed text", compressed(kHello),
                                 {server::text("Hello")}, text("\xff"), 1007, 7));
    try_cases(offering(kOffer, cases), {.cuts = 6, .bytewise = 60});
}

// RFC 6455 10.4: "... MUST protect themselves against exceeding those limits."
TEST_CASE("10.4: a message may inflate to the limit; one byte more fails with 1009")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned opcode : {kText, kBinary}) {
        const std::string name = opcode == kText ? "text" : "binary";
        const std::string most(kMaxMessage, '*');
        const Frame echo = opcode == kText ? server::text(most) : server::binary(most);
        cases.push_back(
            echoes("10.4", name + " at the limit", compressed(deflated(most), opcode), {echo}));
        const Frame more = {true, opcode, most + "*"};
        cases.push_back(
            exceeds(name + ", one byte more", compressed(deflated(more.payload), opcode), more));
        test::DeflateStream stream;
        const std::string all = first(stream.feed(most, false), opcode);
        const std::string nothing = stream.feed("", true);
        const std::string one = test::DeflateStream().feed("*");
        cases.push_back(echoes("10.4", name + ", and an empty block", all + last(nothing), {echo}));
        cases.push_back(exceeds(name + ", one byte in another fragment", all + last(one), more));
        // Each message has the whole of it.
        cases.push_back(echoes("10.4", name + ", twice",
                               repeated(compressed(deflated(most), opcode), 2), {echo, echo}));
    }
    const size_t many = has_no_limits() ? 2'000'000 : 20'000'000; // the client inflates slowly
    const Frame large = server::text(std::string(many, '\0'));
    const std::string bomb = deflated(large.payload);
    REQUIRE(bomb.size() < kMaxFrame);
    cases.push_back(exceeds("many times the limit", compressed(bomb), large));
    cases.push_back(
        exceeds("the same in a fragment", first(bomb) + last(""), large, first(bomb).size()));
    // The limit of frames is for what comes.
    const std::string header = frame({.rsv = kRsv1, .announced = kMaxFrame + 1});
    cases.push_back(has_no_limits()
                        ? waits("10.4", "a frame beyond its limit: taken in parts", header)
                        : fails("10.4", "a frame beyond its limit", header, 1009, 10));
    try_cases(offering(kOffer, cases), {.cuts = 3, .bytewise = 0});
}
