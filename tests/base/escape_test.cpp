// escape_test.cpp: how text that others have chosen is printed and logged.
#include "base/escape.h"
#include "base/utf8.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace websock;
using namespace std::literals;

namespace {

std::string escaped(std::string_view text, char quote = '\0', size_t room = 4096)
{
    std::string out(room, '#');
    const size_t length = escape(text, out, quote);
    CHECK(length <= room);
    CHECK(out.substr(length) == std::string(room - length, '#')); // nothing behind it was touched
    return out.substr(0, length);
}

std::string utf8(unsigned number)
{
    std::string text;
    if (number < 0x80)
        return {static_cast<char>(number)};
    const int more = number < 0x800 ? 1 : number < 0x10000 ? 2 : 3;
    const unsigned leads[] = {0, 0xc0, 0xe0, 0xf0};
    text += static_cast<char>(leads[more] | number >> (6 * more));
    for (int i = more - 1; i >= 0; i--)
        text += static_cast<char>(0x80 | (number >> (6 * i) & 0x3f));
    return text;
}

bool controls_a_terminal(unsigned number)
{
    return number < 0x20 || (number >= 0x7f && number <= 0x9f) || number == 0x61c ||
           number == 0x200e || number == 0x200f || (number >= 0x2028 && number <= 0x202e) ||
           (number >= 0x2066 && number <= 0x2069);
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("readable text stays as it is, in any script")
{
    for (std::string_view text : {""sv, "GET /chat?x=1 \"quoted\""sv, "caf\xc3\xa9 \xe2\x82\xac"sv,
                                  "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xd7\xa9\xd7\x9c"sv})
        CHECK(escaped(text) == text);
}

TEST_CASE("what controls a terminal or cannot be seen is escaped")
{
    CHECK(escaped("a\nb\r\tc") == "a\\nb\\r\\tc");
    CHECK(escaped("\x1b[2J\a\0\x7f"sv) == "\\x1b[2J\\x07\\x00\\x7f");
    CHECK(escaped("\xc2\x85\xc2\x9b") == "\\u0085\\u009b");
    CHECK(escaped("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c") ==
          "\\u202e\\u2066\\u200f\\u061c");
    CHECK(escaped("\xe2\x80\xa8\xe2\x80\xa9") == "\\u2028\\u2029");
    CHECK(escaped("\xff\xc3(\xe2\x82\xed\xa0\x80") == "\\xff\\xc3(\\xe2\\x82\\xed\\xa0\\x80");
    CHECK(escaped("\xc0\xaf\xf8\x88\x80\x80\x80\x80") ==
          "\\xc0\\xaf\\xf8\\x88\\x80\\x80\\x80\\x80");
}

TEST_CASE("no two texts look alike: the backslash is escaped, and the quote where there are quotes")
{
    CHECK(escaped("\\n \\x1b") == "\\\\n \\\\x1b");
    CHECK(escaped("say \"no\"", '"') == "say \\\"no\\\"");
    CHECK(escaped("say \"no\"", '\'') == "say \"no\"");
    CHECK(escaped("\0"sv, '\0') == "\\x00");
}

TEST_CASE("every character comes out as valid UTF-8, and as ASCII if it controls a terminal")
{
    size_t wrong = 0;
    for (unsigned number = 0; number <= 0x10ffff; number += number < 0x3000 ? 1 : 31) {
        if (number >= 0xd800 && number <= 0xdfff)
            continue;
        const std::string text = utf8(number);
        char out[8];
        const std::string_view seen(out, escape(text, out));
        const bool stays = seen == text;
        const bool should = !controls_a_terminal(number) && number != '\\';
        wrong += stays != should;
        wrong += !stays && seen.front() != '\\';
    }
    CHECK(wrong == 0);
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second++) {
            const char bytes[] = {static_cast<char>(first), static_cast<char>(second)};
            char out[8];
            const size_t length = escape({bytes, 2}, out);
            wrong += !is_valid_utf8({reinterpret_cast<const uint8_t *>(out), length});
        }
    CHECK(wrong == 0);
}

TEST_CASE("what does not fit is left out in whole characters and whole escapes")
{
    const std::string_view text = "a\xc3\xa9\x1b\xe2\x80\xae";
    const std::string whole = "a\xc3\xa9\\x1b\\u202e";
    for (size_t room = 0; room <= whole.size(); room++) {
        CAPTURE(room);
        const size_t fits = room < 1 ? 0 : room < 3 ? 1 : room < 7 ? 3 : room < 13 ? 7 : 13;
        CHECK(escaped(text, '\0', room) == whole.substr(0, fits));
    }
}

TEST_CASE("a text is shortened between two characters")
{
    CHECK(shortened("abc", 3) == "abc");
    CHECK(shortened("abc", 2) == "ab");
    CHECK(shortened("abc", 0) == "");
    for (size_t max : {1u, 2u, 3u, 4u})
        CHECK(shortened("a\xf0\x9f\x98\x80z", max) == "a");
    CHECK(shortened("a\xf0\x9f\x98\x80z", 5) == "a\xf0\x9f\x98\x80");
    CHECK(shortened("\x80\x80\x80\x80\x80\x80\x80", 5) == "\x80\x80\x80\x80\x80"); // not characters
}

TEST_SUITE_END();
