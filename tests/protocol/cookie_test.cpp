// cookie_test.cpp: which cookie is found in a Cookie header, and what its value is.
#include "protocol/cookie.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <string>

using namespace websock;

namespace {

std::string cookie(std::string_view header, std::string_view name)
{
    Guarded in(header);
    const auto value = find_cookie(in.text(), name);
    return value ? std::string(*value) : "(none)";
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the first cookie of a name is found, however many blanks stand around it")
{
    CHECK(cookie("SID=31d4d96e407aad42; lang=en-US", "lang") == "en-US"); // RFC 6265 3.1
    CHECK(cookie("SID=31d4d96e407aad42; lang=en-US", "SID") == "31d4d96e407aad42");
    CHECK(cookie("a=1;b=2;  a=3;\tc=4 ;", "a") == "1");
    CHECK(cookie("a=1;b=2;  a=3;\tc=4 ;", "b") == "2");
    CHECK(cookie("a=1;b=2;  a=3;\tc=4 ;", "c") == "4");
    CHECK(cookie("a = 1 ; b=2", "a") == "1");
    CHECK(cookie(";;a=1", "a") == "1");
}

TEST_CASE("names of cookies are compared whole, with their case, and are not decoded")
{
    CHECK(cookie("xa=1; ax=2; A=3", "a") == "(none)");
    CHECK(cookie("%61=1", "a") == "(none)");
    CHECK(cookie("%61=1", "%61") == "1");
    CHECK(cookie("", "a") == "(none)");
    CHECK(cookie("b=a=1", "a") == "(none)");
}

TEST_CASE("what has no '=' is no cookie, and a value may be empty or have one")
{
    CHECK(cookie("a; b=1", "a") == "(none)");
    CHECK(cookie("a; a=1", "a") == "1");
    CHECK(cookie("a=", "a") == "");
    CHECK(cookie("a=b=c==", "a") == "b=c==");
    CHECK(cookie("a", "") == "(none)");
    CHECK(cookie("=1", "") == "1");
}

TEST_CASE("double quotes around a value are taken off, once and in pairs")
{
    CHECK(cookie("a=\"x y\"; b=1", "a") == "x y");
    CHECK(cookie("a=\"\"", "a") == "");
    CHECK(cookie("a=\"\"x\"\"", "a") == "\"x\"");
    CHECK(cookie("a=\"", "a") == "\"");
    CHECK(cookie("a=\"x", "a") == "\"x");
    CHECK(cookie("a=x\"", "a") == "x\"");
    CHECK(cookie("a=\"x;y\"", "a") == "\"x"); // a value cannot have a ';'
}
