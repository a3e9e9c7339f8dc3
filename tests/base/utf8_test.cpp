// utf8_test.cpp: the UTF-8 validator against RFC 3629 and a plain reference, with text cut in
// every way and at the edge of memory.
#include "base/utf8.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace websock;

namespace {

std::span<const uint8_t> bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

bool is_valid(std::string_view text) { return is_valid_utf8(bytes_of(text)); }

// RFC 3629 section 3, read as a decoder: the first byte gives the length, the bits give the
// number, and then the number must be allowed at that length. 0: it is not.
size_t reference_character(std::span<const uint8_t> text)
{
    const uint8_t lead = text[0];
    const size_t len = lead < 0x80             ? 1
                       : (lead & 0xe0) == 0xc0 ? 2
                       : (lead & 0xf0) == 0xe0 ? 3
                       : (lead & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (len == 0 || len > text.size()) {
        return 0;
    }
    uint32_t number = len == 1 ? lead : lead & (0x7fu >> len);
    for (size_t i = 1; i < len; ++i) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        number = number << 6 | (text[i] & 0x3fu);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = number >= 0xd800 && number <= 0xdfff;
    return number < kSmallest[len] || number > 0x10ffff || surrogate ? 0 : len;
}

bool reference_is_valid(std::span<const uint8_t> text)
{
    while (!text.empty()) {
        const size_t len = reference_character(text);
        if (len == 0) {
            return false;
        }
        text = text.subspan(len);
    }
    return true;
}

// How many bytes are accepted, fed one at a time, before one is refused.
size_t accepted_bytes(std::string_view text)
{
    Utf8Validator validator;
    size_t accepted = 0;
    while (accepted < text.size() && validator.feed(bytes_of(text.substr(accepted, 1)))) {
        ++accepted;
    }
    return accepted;
}

struct Invalid {
    const char *what;
    std::string_view text;
    size_t offending; // offset of the byte that gives it away
};

using namespace std::string_view_literals;

const Invalid kInvalid[] = {
    {"a continuation byte alone", "\x80"sv, 0},
    {"the last continuation byte alone", "\xbf"sv, 0},
    {"a continuation byte too many", "\xc3\xa9\xa9"sv, 2},
    {"an overlong slash in two bytes", "\xc0\xaf"sv, 0},
    {"the largest overlong in two bytes", "\xc1\xbf"sv, 0},
    {"an overlong NUL in two bytes", "\xc0\x80"sv, 0},
    {"an overlong slash in three bytes", "\xe0\x80\xaf"sv, 1},
    {"the largest overlong in three bytes", "\xe0\x9f\xbf"sv, 1},
    {"an overlong slash in four bytes", "\xf0\x80\x80\xaf"sv, 1},
    {"the largest overlong in four bytes", "\xf0\x8f\xbf\xbf"sv, 1},
    {"the first surrogate", "\xed\xa0\x80"sv, 1},
    {"the last surrogate", "\xed\xbf\xbf"sv, 1},
    {"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"sv, 1},
    {"U+110000", "\xf4\x90\x80\x80"sv, 1},
    {"U+13FFFF", "\xf4\xbf\xbf\xbf"sv, 1},
    {"U+140000", "\xf5\x80\x80\x80"sv, 0},
    {"a lead byte of five", "\xf8\x88\x80\x80\x80"sv, 0},
    {"a lead byte of six", "\xfc\x84\x80\x80\x80\x80"sv, 0},
    {"fe", "\xfe"sv, 0},
    {"ff", "\xff"sv, 0},
    {"two bytes broken off by ASCII", "\xc3(a"sv, 1},
    {"three bytes broken off by ASCII", "\xe2\x82(a"sv, 2},
    {"four bytes broken off by ASCII", "\xf0\x9f\x98(a"sv, 3},
    {"three bytes broken off by a lead byte", "\xe2\xc3\xa9"sv, 1},
    {"four bytes broken off by a lead byte", "\xf0\x9f\xe2\x82\xac"sv, 2},
};

const std::string_view kValid[] = {
    ""sv,
    "\0"sv,
    "plain ASCII"sv,
    "\x7f"sv,             // U+007F
    "\xc2\x80"sv,         // U+0080
    "\xdf\xbf"sv,         // U+07FF
    "\xe0\xa0\x80"sv,     // U+0800
    "\xed\x9f\xbf"sv,     // U+D7FF, before the surrogates
    "\xee\x80\x80"sv,     // U+E000, after them
    "\xef\xbf\xbe"sv,     // U+FFFE: not a character, but UTF-8
    "\xef\xbf\xbf"sv,     // U+FFFF
    "\xf0\x90\x80\x80"sv, // U+10000
    "\xf4\x8f\xbf\xbf"sv, // U+10FFFF
    "\xef\xbb\xbfmarked"sv,
    "Ko\xcc\x88ln \xe2\x82\xac 5 \xf0\x9f\x98\x80!"sv,
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("every kind of valid text is accepted, with all boundaries of the encoding")
{
    for (std::string_view text : kValid) {
        CAPTURE(text);
        CHECK(is_valid(text));
        CHECK(accepted_bytes(text) == text.size());
    }
}

TEST_CASE("every kind of invalid text is refused at the first byte that gives it away")
{
    for (const Invalid &invalid : kInvalid) {
        CAPTURE(invalid.what);
        CHECK_FALSE(is_valid(invalid.text));
        CHECK(accepted_bytes(invalid.text) == invalid.offending);
    }
}

TEST_CASE("text that is cut anywhere gets the same verdict, at the edge of memory too")
{
    const std::string padding(40, 'p');
    std::vector<std::string> texts(std::begin(kValid), std::end(kValid));
    for (const Invalid &invalid : kInvalid) {
        texts.emplace_back(invalid.text);
    }
    for (const std::string &middle : texts) {
        const std::string text = padding + middle + padding;
        const bool expected = is_valid(text);
        CAPTURE(middle);
        for (size_t cut = 0; cut <= text.size(); ++cut) {
            Guarded head(std::string_view(text).substr(0, cut));
            Guarded tail(std::string_view(text).substr(cut));
            Utf8Validator validator;
            const bool valid =
                validator.feed(head.span()) && validator.feed(tail.span()) && validator.complete();
            if (valid != expected) {
                FAIL_CHECK("cut at ", cut);
            }
        }
    }
}

TEST_CASE("a character or an invalid byte is seen wherever it stands in long ASCII")
{
    for (size_t size = 1; size <= 100; ++size) {
        for (size_t at = 0; at < size; ++at) {
            std::string text(size, 'a');
            text[at] = '\x80';
            Guarded invalid(text);
            if (is_valid_utf8(invalid.span())) {
                FAIL_CHECK("size ", size, ", 80 at ", at);
            }
            text.replace(at, 1, "\xe2\x82\xac");
            Guarded valid(text);
            if (!is_valid_utf8(valid.span())) {
                FAIL_CHECK("size ", size, ", U+20AC at ", at);
            }
        }
    }
}

TEST_CASE("ASCII inside a character is refused, however much of it and however cut")
{
    for (size_t len = 1; len <= 100; ++len) {
        const std::string ascii(len, 'a');
        Utf8Validator validator;
        CHECK(validator.feed(bytes_of("\xe2\x82")));
        CHECK_FALSE(validator.feed(bytes_of(ascii)));
        CHECK_FALSE(is_valid("\xe2\x82" + ascii + "\xac"));
    }
}

TEST_CASE("text is complete only between two characters")
{
    const std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    const bool complete[] = {true, true,  false, true,  false, false,
                             true, false, false, false, true};
    for (size_t len = 0; len <= text.size(); ++len) {
        CAPTURE(len);
        Utf8Validator validator;
        CHECK(validator.feed(bytes_of(text.substr(0, len))));
        CHECK(validator.complete() == complete[len]);
        CHECK(is_valid(text.substr(0, len)) == complete[len]);
    }
}

TEST_CASE("after reset the validator begins anew")
{
    Utf8Validator validator;
    CHECK(validator.feed(bytes_of("\xe2\x82")));
    validator.reset();
    CHECK(validator.complete());
    CHECK(validator.feed(bytes_of("a")));
    CHECK_FALSE(validator.feed(bytes_of("\xff")));
    validator.reset();
    CHECK(validator.feed(bytes_of("a")));
}

TEST_CASE("all sequences of one, two and three bytes agree with the reference")
{
    size_t disagreements = 0;
    for (uint32_t number = 0; number < (1u << 24); ++number) {
        const uint8_t bytes[] = {static_cast<uint8_t>(number >> 16),
                                 static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
        disagreements += is_valid_utf8(bytes) != reference_is_valid(bytes);
        if (number < (1u << 16)) {
            const std::span<const uint8_t> two(bytes + 1, 2);
            disagreements += is_valid_utf8(two) != reference_is_valid(two);
        }
        if (number < (1u << 8)) {
            const std::span<const uint8_t> one(bytes + 2, 1);
            disagreements += is_valid_utf8(one) != reference_is_valid(one);
        }
    }
    CHECK(disagreements == 0);
}

TEST_CASE("sequences of four bytes agree with the reference at every lead and boundary")
{
    const uint8_t boundaries[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    size_t disagreements = 0;
    for (uint32_t number = 0; number < (1u << 16); ++number) {
        for (uint8_t third : boundaries) {
            for (uint8_t fourth : boundaries) {
                const uint8_t bytes[] = {static_cast<uint8_t>(number >> 8),
                                         static_cast<uint8_t>(number), third, fourth};
                disagreements += is_valid_utf8(bytes) != reference_is_valid(bytes);
            }
        }
    }
    CHECK(disagreements == 0);
}

TEST_CASE("boundary bytes anywhere in ASCII of every short length agree with the reference")
{
    const uint8_t boundaries[] = {0x00, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4};
    size_t disagreements = 0;
    for (size_t size = 3; size <= 20; ++size) {
        for (size_t at = 0; at + 3 <= size; ++at) {
            std::vector<uint8_t> text(size, 'a');
            for (uint8_t first : boundaries) {
                for (uint8_t second : boundaries) {
                    for (uint8_t third : boundaries) {
                        text[at] = first, text[at + 1] = second, text[at + 2] = third;
                        disagreements += is_valid_utf8(text) != reference_is_valid(text);
                    }
                }
            }
        }
    }
    CHECK(disagreements == 0);
}

TEST_CASE("a prefix is as long as it can be without cutting a character")
{
    const std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < std::size(expected); ++max) {
        CAPTURE(max);
        CHECK(utf8_prefix(bytes_of(text), max) == expected[max]);
    }
}

TEST_CASE("a prefix ends before the first invalid byte")
{
    CHECK(utf8_prefix(bytes_of("ab\xffxy"), 5) == 2);
    CHECK(utf8_prefix(bytes_of("ab\xe2\x82"), 4) == 2);
    CHECK(utf8_prefix(bytes_of("ab\xed\xa0\x80"), 5) == 2);
}

TEST_SUITE_END();
