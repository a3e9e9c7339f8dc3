// url_encoded_test.cpp: percent-encoding, and parameters in a query.
#include "protocol/url_encoded.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

using namespace websock;
using namespace std::literals;

namespace {

constexpr auto kForm = Plus::is_space;
constexpr auto kPlain = Plus::is_plus;

std::string decoded(std::string_view encoded, Plus plus)
{
    Guarded in(encoded);
    Guarded out(encoded.size() + 1);
    auto *text = reinterpret_cast<char *>(out.data());
    const int error = decode_into(in.text(), plus, text, out.size());
    return error == 0 ? text : "(error " + std::to_string(error) + ")";
}

std::string parameter(std::string_view query, std::string_view name)
{
    Guarded in(query);
    const auto value = find_query_parameter(in.text(), name);
    return value ? std::string(*value) : "(none)";
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("escapes are decoded in either case, and '+' where it is a space")
{
    CHECK(decoded("", kForm) == "");
    CHECK(decoded("a%20b+c", kForm) == "a b c");
    CHECK(decoded("a%20b+c", kPlain) == "a b+c");
    CHECK(decoded("%2b%2B%2f%7E", kForm) == "++/~");
    CHECK(decoded("%c3%A9\xc3\xa9%ff", kForm) == "\xc3\xa9\xc3\xa9\xff");
    CHECK(decoded("%2520", kForm) == "%20"); // once, not twice
}

TEST_CASE("a '%' that begins no escape stays as it is")
{
    for (const char *text : {"%", "%%", "%4", "100%", "%g0", "%0g", "%-1", "% 1", "%@a", "%`a"}) {
        CAPTURE(text);
        CHECK(decoded(text, kForm) == text);
    }
    CHECK(decoded("%%41", kForm) == "%A");
    CHECK(decoded("%4%41", kForm) == "%4A");
}

TEST_CASE("every byte has two escapes")
{
    const char *const upper = "0123456789ABCDEF", *const lower = "0123456789abcdef";
    for (unsigned byte = 1; byte < 256; ++byte) {
        for (const char *digits : {upper, lower}) {
            const std::string escape{'%', digits[byte / 16], digits[byte % 16]};
            CHECK(decoded(escape, kForm) == std::string(1, static_cast<char>(byte)));
        }
    }
}

TEST_CASE("what does not fit is ERANGE, and then there is nothing in the buffer")
{
    char out[4] = "xyz";
    CHECK(decode_into("%41b", kForm, out, 3) == 0);
    CHECK(out == "Ab"s);
    CHECK(decode_into("%41bc", kForm, out, 3) == ERANGE);
    CHECK(out == ""s);
    CHECK(decode_into("", kForm, out, 1) == 0);
    CHECK(out == ""s);
    CHECK(decode_into("a", kForm, out, 1) == ERANGE);
    CHECK(decode_into("a", kForm, nullptr, 0) == EINVAL);
}

TEST_CASE("a value with a NUL is EINVAL, however large the buffer is")
{
    char out[8] = "before";
    CHECK(decode_into("a%00b", kForm, out, sizeof out) == EINVAL);
    CHECK(out == ""s);
    CHECK(decode_into("abcdefgh%00", kForm, out, sizeof out) == EINVAL);
    CHECK(decode_into("%00", kForm, out, 1) == EINVAL);
}

TEST_CASE("the first parameter of a name counts, and is found wherever it stands")
{
    CHECK(parameter("a=1", "a") == "1");
    CHECK(parameter("a=1&b=2&a=3", "a") == "1");
    CHECK(parameter("a=1&b=2&a=3", "b") == "2");
    CHECK(parameter("ab=1&a=2", "a") == "2");
    CHECK(parameter("a=1=2&b", "a") == "1=2");
    CHECK(parameter("a=1;b=2", "a") == "1;b=2"); // the URL Standard: '&' alone separates
    CHECK(parameter("A=1", "a") == "(none)");
    CHECK(parameter("", "a") == "(none)");
    CHECK(parameter("b=a", "a") == "(none)");
}

TEST_CASE("a parameter may have no value, or no name, and empty pairs are none")
{
    CHECK(parameter("a", "a") == "");
    CHECK(parameter("a=", "a") == "");
    CHECK(parameter("b&a&c", "a") == "");
    CHECK(parameter("=x", "") == "x");
    CHECK(parameter("&&=y", "") == "y");
    CHECK(parameter("&", "") == "(none)");
    CHECK(parameter("", "") == "(none)");
    CHECK(parameter("&a=1&&b=2&", "b") == "2");
}

TEST_CASE("names are decoded before they are compared")
{
    CHECK(parameter("user%20name=x", "user name") == "x");
    CHECK(parameter("user+name=x", "user name") == "x");
    CHECK(parameter("a%5B%5D=1&a[]=2", "a[]") == "1");
    CHECK(parameter("a%3Db=c", "a=b") == "c");
    CHECK(parameter("a%26b=c", "a&b") == "c");
    CHECK(parameter("a%00=c", "a") == "(none)");
    CHECK(parameter("%zz=c", "%zz") == "c");
}
