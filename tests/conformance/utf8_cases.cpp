// utf8_cases.cpp: RFC 6455 8.1 (and RFC 3629): text that is UTF-8, and text that is not, in
// one frame and in fragments cut anywhere; Close reasons; and binary, which may be anything.
//
// Text that is not UTF-8 fails the connection at the byte that gives it away, whether or not
// the frame or the message is complete. known_after says which byte that is.
#include "exchange.h"

#include <doctest/doctest.h>

#include <cstdio>

using namespace conformance;
using std::string_literals::operator""s;

namespace {

constexpr size_t kHeader = 6; // of a masked frame of up to 125 bytes

struct Bad {
    std::string what;
    std::string bytes;
    size_t offending; // offset of the byte that gives it away
};

std::vector<Bad> malformed()
{
    return {
        {"an overlong NUL in two bytes", "\xc0\x80"s, 0},
        {"an overlong slash in two bytes", "\xc0\xaf"s, 0},
        {"the largest overlong in two bytes", "\xc1\xbf"s, 0},
        {"an overlong NUL in three bytes", "\xe0\x80\x80"s, 1},
        {"an overlong slash in three bytes", "\xe0\x80\xaf"s, 1},
        {"the largest overlong in three bytes", "\xe0\x9f\xbf"s, 1},
        {"an overlong NUL in four bytes", "\xf0\x80\x80\x80"s, 1},
        {"an overlong slash in four bytes", "\xf0\x80\x80\xaf"s, 1},
        {"the largest overlong in four bytes", "\xf0\x8f\xbf\xbf"s, 1},
        {"an overlong slash in five bytes", "\xf8\x80\x80\x80\xaf"s, 0},
        {"an overlong slash in six bytes", "\xfc\x80\x80\x80\x80\xaf"s, 0},
        {"U+D800, the first surrogate", "\xed\xa0\x80"s, 1},
        {"U+DB7F", "\xed\xad\xbf"s, 1},
        {"U+DB80", "\xed\xae\x80"s, 1},
        {"U+DBFF, the last high surrogate", "\xed\xaf\xbf"s, 1},
        {"U+DC00, the first low surrogate", "\xed\xb0\x80"s, 1},
        {"U+DFFF, the last surrogate", "\xed\xbf\xbf"s, 1},
        {"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"s, 1},
        {"U+110000", "\xf4\x90\x80\x80"s, 1},
        {"U+13FFFF", "\xf4\xbf\xbf\xbf"s, 1},
        {"U+140000", "\xf5\x80\x80\x80"s, 0},
        {"U+1FFFFF", "\xf7\xbf\xbf\xbf"s, 0},
        {"U+200000", "\xf8\x88\x80\x80\x80"s, 0},
        {"U+3FFFFFF", "\xfb\xbf\xbf\xbf\xbf"s, 0},
        {"U+4000000", "\xfc\x84\x80\x80\x80\x80"s, 0},
        {"U+7FFFFFFF", "\xfd\xbf\xbf\xbf\xbf\xbf"s, 0},
        {"a byte order mark of UTF-16", "\xfe\xff"s, 0},
        {"a continuation byte too many", "\xc3\xa9\xa9"s, 2},
        {"six continuation bytes alone", "\x80\xbf\x80\xbf\x80\xbf"s, 0},
        {"a lead byte of two before a space", "\xc3 "s, 1},
        {"a lead byte of three before a space", "\xe2 "s, 1},
        {"a lead byte of four before a space", "\xf0 "s, 1},
        {"the third byte of three is missing", "\xe2\x82 "s, 2},
        {"the third byte of four is missing", "\xf0\x9f "s, 2},
        {"the fourth byte of four is missing", "\xf0\x9f\x98 "s, 3},
        {"two bytes, the second a lead byte", "\xc3\xc3"s, 1},
        {"three bytes, the third a lead byte", "\xe2\x82\xe2"s, 2},
        {"four bytes, the fourth a lead byte", "\xf0\x9f\x98\xf0"s, 3},
        {"the second byte below all continuations", "\xf1\x7f\x80\x80"s, 1},
        {"the third byte above all continuations", "\xf1\x80\xc0\x80"s, 2},
        {"two characters in one (CESU-8)", "\xed\xa0\x81\xed\xb0\x80"s, 1},
    };
}

// Every byte that cannot begin a character.
std::vector<Bad> malformed_bytes()
{
    std::vector<Bad> all;
    for (int byte = 0x80; byte <= 0xff; byte++)
        if (byte < 0xc2 || byte > 0xf4)
            all.push_back({"the byte " + hex(std::string(1, static_cast<char>(byte))),
                           std::string(1, static_cast<char>(byte)), 0});
    return all;
}

std::string encode(uint32_t point)
{
    const auto rest = [&](int shift) { return static_cast<char>(0x80 | (point >> shift & 0x3f)); };
    if (point < 0x80)
        return {static_cast<char>(point)};
    if (point < 0x800)
        return {static_cast<char>(0xc0 | point >> 6), rest(0)};
    if (point < 0x10000)
        return {static_cast<char>(0xe0 | point >> 12), rest(6), rest(0)};
    return {static_cast<char>(0xf0 | point >> 18), rest(12), rest(6), rest(0)};
}

std::string name_of_point(uint32_t point)
{
    char name[16];
    std::snprintf(name, sizeof name, "U+%04X", static_cast<unsigned>(point));
    return name;
}

const std::string kBefore = "\xce\xba\xe1\xbd\xb9 ";
const std::string kBehind = " behind";

} // namespace

// RFC 6455 8.1: "... not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail ..."
TEST_CASE("8.1: text that is not UTF-8 fails with 1007 at the byte that gives it away")
{
    std::vector<Case> cases;
    for (const Bad &bad : malformed()) {
        const std::string name = bad.what + ": " + hex(bad.bytes);
        cases.push_back(fails("8.1", name + ", alone", client::text(bad.bytes), 1007,
                              kHeader + bad.offending + 1));
        cases.push_back(fails("8.1", name + ", in the middle",
                              client::text(kBefore + bad.bytes + kBehind), 1007,
                              kHeader + kBefore.size() + bad.offending + 1));
        cases.push_back(fails_behind("8.1", name + ", behind a message", client::text("good"),
                                     {server::text("good")}, client::text(bad.bytes), 1007,
                                     kHeader + bad.offending + 1));
    }
    for (const Bad &bad : malformed_bytes())
        cases.push_back(fails("8.1", bad.what, client::text(kBefore + bad.bytes + kBehind), 1007,
                              kHeader + kBefore.size() + 1));
    const bool tls = test::over_tls();
    try_cases(cases, {.cuts = tls ? 5u : 300u, .bytewise = 300});
}

TEST_CASE("8.1: the same in fragments, cut at every offset, fails at the same byte")
{
    std::vector<Case> cases;
    for (const Bad &bad : malformed())
        for (size_t cut = 0; cut <= bad.bytes.size(); cut++)
            for (const std::string &between : {std::string(), client::ping("p")}) {
                const bool in_first = bad.offending < cut;
                const std::string first =
                    client::fragment(kText, kBefore + bad.bytes.substr(0, cut));
                const std::string second = client::last(bad.bytes.substr(cut) + kBehind);
                const std::string name = bad.what + ": " + hex(bad.bytes) + ", cut at " +
                                         std::to_string(cut) + (between.empty() ? "" : ", a ping");
                if (in_first)
                    cases.push_back(fails("8.1", name, first + between + second, 1007,
                                          kHeader + kBefore.size() + bad.offending + 1));
                else
                    cases.push_back(fails_behind("8.1", name, first + between,
                                                 between.empty() ? std::vector<Frame>()
                                                                 : std::vector{server::pong("p")},
                                                 second, 1007, kHeader + bad.offending - cut + 1));
            }
    const bool tls = test::over_tls();
    try_cases(cases, {.cuts = tls ? 1u : 12u, .bytewise = tls ? 0u : 300u});
}

// RFC 6455 5.6: "... the whole message MUST contain valid UTF-8."
TEST_CASE("8.1: text that ends inside a character fails with 1007")
{
    std::vector<Case> cases;
    for (uint32_t point : {0x80u, 0x7ffu, 0x800u, 0xffffu, 0x10000u, 0x10ffffu}) {
        const std::string character = encode(point);
        for (size_t len = 1; len < character.size(); len++) {
            const std::string part = kBefore + character.substr(0, len);
            const std::string name =
                name_of_point(point) + ", " + std::to_string(len) + " of its bytes, ";
            cases.push_back(fails("8.1", name + "in one frame", client::text(part), 1007));
            cases.push_back(fails_behind("8.1", name + "in the last fragment",
                                         client::fragment(kText, "a"), {}, client::last(part),
                                         1007));
            cases.push_back(fails_behind("8.1", name + "before an empty last fragment",
                                         client::fragment(kText, part), {}, client::last(""),
                                         1007));
            cases.push_back(fails_behind("8.1", name + "behind a message, before a ping",
                                         client::text("good"), {server::text("good")},
                                         client::text(part) + client::ping("never"), 1007,
                                         kHeader + part.size()));
        }
    }
    try_cases(cases);
}

TEST_CASE("8.1: every kind of character is taken, whole and in fragments cut at every offset")
{
    std::vector<uint32_t> points = {0x0,    0x1,    0x7f,    0x80,    0x7ff,   0x800,   0xfff,
                                    0x1000, 0xcfff, 0xd000,  0xd7ff,  0xe000,  0xfdd0,  0xfdef,
                                    0xfeff, 0xfffd, 0x3ffff, 0x40000, 0xfffff, 0x100000};
    for (uint32_t plane = 0; plane <= 0x10; plane++)
        for (uint32_t last : {0x0000u, 0xfffeu, 0xffffu})
            points.push_back(plane << 16 | last);
    std::vector<Case> cases;
    for (uint32_t point : points) {
        const std::string text = kBefore + encode(point) + kBehind;
        cases.push_back(
            echoes("8.1", name_of_point(point), client::text(text), {server::text(text)}));
        for (size_t cut = kBefore.size(); cut <= kBefore.size() + encode(point).size(); cut++)
            cases.push_back(echoes("8.1", name_of_point(point) + ", cut at " + std::to_string(cut),
                                   client::fragment(kText, text.substr(0, cut)) +
                                       client::ping("p") + client::last(text.substr(cut)),
                                   {server::pong("p"), server::text(text)}));
    }
    // "κόσμε" in fragments of one byte.
    const std::string word = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
    std::string bytewise = client::fragment(kText, "");
    for (char byte : word)
        bytewise += client::more(std::string(1, byte));
    cases.push_back(
        echoes("8.1", "a byte a fragment", bytewise + client::last(""), {server::text(word)}));
    try_cases(cases, {.cuts = 20, .bytewise = 300});
}

TEST_CASE("8.1: every character there is comes back")
{
    std::vector<Case> cases;
    for (uint32_t first = 0; first < 0x110000; first += 0x4000) {
        std::string text;
        for (uint32_t point = first; point < first + 0x4000; point++)
            if (point < 0xd800 || point > 0xdfff)
                text += encode(point);
        if (!text.empty())
            cases.push_back(echoes("8.1", "from " + name_of_point(first), client::text(text),
                                   {server::text(text)}));
    }
    try_cases(cases, {.cuts = 6, .bytewise = 0});
}

TEST_CASE("8.1: each text begins anew, and only text has to be UTF-8")
{
    using namespace client;
    std::vector<Case> cases = {
        echoes("8.1", "a text behind a binary that ends like half a character",
               binary("\xe2\x82") + text("\xe2\x82\xac"),
               {server::binary("\xe2\x82"), server::text("\xe2\x82\xac")}),
        fails_behind("8.1", "a binary does not finish what a text has begun", text("\xe2\x82\xac"),
                     {server::text("\xe2\x82\xac")}, text("\xe2\x82"), 1007),
        fails_behind("8.1", "a text cannot go on where the last one has ended",
                     fragment(kText, "\xe2\x82") + last("\xac"), {server::text("\xe2\x82\xac")},
                     text("\xac"), 1007),
    };
    for (const Bad &bad : malformed()) {
        const std::string name = bad.what + ": " + hex(bad.bytes);
        cases.push_back(
            echoes("5.6", name + ", binary", binary(bad.bytes), {server::binary(bad.bytes)}));
        cases.push_back(echoes("5.6", name + ", binary in fragments",
                               fragment(kBinary, bad.bytes) + more(bad.bytes) + last(bad.bytes),
                               {server::binary(repeated(bad.bytes, 3))}));
        cases.push_back(
            echoes("5.5.2", name + ", in a ping", ping(bad.bytes), {server::pong(bad.bytes)}));
        cases.push_back(echoes("5.5.3", name + ", in a pong", pong(bad.bytes), {}));
    }
    try_cases(cases, {.cuts = 40, .bytewise = 300});
}

TEST_CASE("5.5.1: a Close reason that is not UTF-8 fails with 1007")
{
    std::vector<Case> cases;
    for (const Bad &bad : malformed()) {
        const std::string name = bad.what + ": " + hex(bad.bytes);
        cases.push_back(fails("5.5.1", name, client::close(1000, bad.bytes), 1007));
        cases.push_back(
            fails("5.5.1", name + ", behind text", client::close(1000, kBefore + bad.bytes), 1007));
    }
    for (uint32_t point : {0x80u, 0x800u, 0x10000u}) {
        const std::string part = encode(point).substr(0, encode(point).size() - 1);
        cases.push_back(fails("5.5.1", name_of_point(point) + " without its last byte",
                              client::close(1000, kBefore + part), 1007));
        cases.push_back(closes("5.5.1", name_of_point(point),
                               client::close(1000, kBefore + encode(point)), {server::close(1000)},
                               1000, kBefore + encode(point)));
    }
    const bool tls = test::over_tls();
    try_cases(cases, {.cuts = tls ? 3u : 40u, .bytewise = 300});
}

TEST_CASE("8.1: text of many bytes is refused at its first wrong one, wherever that is")
{
    std::vector<Case> cases;
    const size_t header = 8; // with a 16-bit length
    for (size_t at : Sizes{0, 1, 63, 64, 65, 4095, 4096, 16383, 16384, 16385, 39998, 39999}) {
        std::string text(40000, '*');
        text[at] = '\xff';
        cases.push_back(fails("8.1", "byte " + std::to_string(at) + " of 40000", client::text(text),
                              1007, header + at + 1));
    }
    // The same in the fragments of a message.
    const std::string part(1000, '*');
    const std::string before = client::fragment(kText, part) + client::more(part);
    cases.push_back(fails_behind("8.1", "in the third fragment", before, {},
                                 client::last(part + "\xff" + part), 1007, header + 1001));
    try_cases(cases, {.cuts = 6, .bytewise = 0});
}
