// request_body_test.cpp: how long the body of a request is, and what is in it when it comes in
// chunks. Over real sockets it is in server/request_body_test.cpp.
#include "protocol/request_body.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace websock;
using namespace std::literals;
using Result = RequestBody::Result;

namespace {

const std::string kChunked = "Transfer-Encoding: chunked\r\n";

void parse(Request &request, const std::string &headers, const std::string &version = "1.1")
{
    REQUIRE(request
                .parse("POST / HTTP/" + version + "\r\nHost: h\r\n" + headers + "\r\n",
                       Request::Bodies::accepted)
                .status == 0);
}

// What the headers alone are refused with; 0: they are not.
int status_of(const std::string &headers, const std::string &version = "1.1", size_t max = 100)
{
    Request request;
    parse(request, headers, version);
    RequestBody body(max, 100);
    const Result result = body.begin(request);
    CHECK((result == Result::refused) == (body.refusal().status != 0));
    CHECK((body.refusal().status == 0) == (body.refusal().reason == ""sv));
    return body.refusal().status;
}

struct Taken {
    Result result;
    std::string body; // or "(status)"
    size_t used;
    bool operator==(const Taken &) const = default;
};

// bytes, in pieces of this length.
Taken take(const std::string &headers, std::string_view bytes, size_t piece, size_t max,
           size_t max_extra)
{
    Request request;
    parse(request, headers);
    RequestBody body(max, max_extra);
    Result result = body.begin(request);
    size_t all_used = 0;
    while (result == Result::need_more && all_used < bytes.size()) {
        Guarded part(bytes.substr(all_used, piece));
        size_t used = 0;
        result = body.take(part.text(), used);
        CHECK((result != Result::need_more || used == part.size()));
        all_used += used;
    }
    if (result == Result::complete) {
        CHECK(body.data()[body.size()] == '\0');
        return {result, std::string(body.data(), body.size()), all_used};
    }
    const int status = body.refusal().status;
    return {result, status != 0 ? "(" + std::to_string(status) + ")" : "", all_used};
}

Taken take(const std::string &headers, std::string_view bytes, size_t max = 100,
           size_t max_extra = 100)
{
    const Taken whole = take(headers, bytes, bytes.size() + 1, max, max_extra);
    for (size_t piece = 1; piece < 8; piece += 2)
        CHECK(take(headers, bytes, piece, max, max_extra) == whole);
    return whole;
}

std::string chunks(std::string_view bytes, size_t max = 100, size_t max_extra = 100)
{
    const Taken taken = take(kChunked, bytes, max, max_extra);
    return taken.result == Result::need_more ? "(more)" : taken.body;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a request without a length or a coding has an empty body")
{
    for (const char *headers : {"", "Content-Length: 0\r\n", "Content-Length: 0, 0\r\n"}) {
        CAPTURE(headers);
        CHECK(take(headers, "next") == Taken{Result::complete, "", 0});
    }
    const RequestBody untouched(1, 1);
    CHECK(untouched.data() == ""s);
    CHECK(untouched.size() == 0);
}

TEST_CASE("a body with a length ends there, whatever is in it")
{
    CHECK(take("Content-Length: 5\r\n", "a\0\r\nbnext"s) ==
          Taken{Result::complete, "a\0\r\nb"s, 5});
    CHECK(take("Content-Length: 5\r\n", "four") == Taken{Result::need_more, "", 4});
    CHECK(take("Content-Length: 007, 007\r\n", "1234567") == Taken{Result::complete, "1234567", 7});
    CHECK(take("Content-Length: 3\r\ncontent-length: 3\r\n", "abc").body == "abc");
    const std::string long_one(100, 'x');
    CHECK(take("Content-Length: 100\r\n", long_one).body == long_one);
}

TEST_CASE("a body that is too large is refused with 413 by its length alone")
{
    CHECK(status_of("Content-Length: 100\r\n") == 0);
    CHECK(status_of("Content-Length: 101\r\n") == 413);
    for (const char *huge : {"4294967396", "18446744073709551616", "18446744073709551626",
                             "99999999999999999999999999999999"}) {
        CAPTURE(huge);
        CHECK(status_of("Content-Length: "s + huge + "\r\n") == 413);
    }
}

TEST_CASE("a length that is no number, or two that differ, are refused with 400")
{
    for (const char *length :
         {"", "-1", "+1", "0x0", "1 2", "1,", ",1", "1, 2", "0, 1", "5, 05", "one", "1.0", "1;a"}) {
        CAPTURE(length);
        CHECK(status_of("Content-Length: "s + length + "\r\n") == 400);
    }
    CHECK(status_of("Content-Length: 4\r\nContent-Length: 5\r\n") == 400);
}

TEST_CASE("a length beside a coding is refused with 400, and so is a coding in HTTP/1.0")
{
    CHECK(status_of(kChunked + "Content-Length: 0\r\n") == 400);
    CHECK(status_of("Content-Length: 5\r\n" + kChunked) == 400);
    CHECK(status_of("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n") == 400);
    CHECK(status_of(kChunked, "1.0") == 400);
    CHECK(status_of("Content-Length: 5\r\n", "1.0") == 0);
}

TEST_CASE("of codings chunked alone is known, and where it is not the last one there is no length")
{
    for (const char *coding : {"chunked", "CHUNKED", " Chunked\t"}) {
        CAPTURE(coding);
        CHECK(status_of("Transfer-Encoding: "s + coding + "\r\n") == 0);
    }
    for (const char *coding : {"gzip, chunked", "gzip,deflate , chunked", "x-unknown, chunked"}) {
        CAPTURE(coding);
        CHECK(status_of("Transfer-Encoding: "s + coding + "\r\n") == 501);
    }
    CHECK(status_of("Transfer-Encoding: gzip\r\n" + kChunked) == 501);
    for (const char *coding :
         {"", "gzip", "identity", "chunked, gzip", "chunked, chunked", "chunked, gzip, chunked",
          "chunked,", ",chunked", "chunked;q=1", "xchunked", "chunked chunked", "\"chunked\""}) {
        CAPTURE(coding);
        CHECK(status_of("Transfer-Encoding: "s + coding + "\r\n") == 400);
    }
    CHECK(status_of(kChunked + kChunked) == 400);
}

TEST_CASE("chunks become one body, and what follows it is not taken")
{
    CHECK(take(kChunked, "4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\nnext") ==
          Taken{Result::complete, "Wikipedia", 24});
    CHECK(take(kChunked, "0\r\n\r\n") == Taken{Result::complete, "", 5});
    CHECK(chunks("000\r\n\r\n") == "");
    CHECK(chunks("3\r\na\0b\r\n2\r\n\r\n\r\n0\r\n\r\n"s) == "a\0b\r\n"s);
    CHECK(chunks("0000A\r\n0123456789\r\n0\r\n\r\n") == "0123456789");
    CHECK(chunks("a\r\n0123456789\r\n0\r\n\r\n") == "0123456789");
    CHECK(chunks("1F\r\n" + std::string(31, 'x') + "\r\n0\r\n\r\n") == std::string(31, 'x'));
}

TEST_CASE("no chunked body is complete before its last byte")
{
    const std::string bytes = "4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nX: y\r\n\r\n";
    for (size_t len = 0; len < bytes.size(); ++len) {
        CAPTURE(len);
        CHECK(chunks(bytes.substr(0, len)) == "(more)");
    }
    CHECK(chunks(bytes) == "Wikipedia");
}

TEST_CASE("chunk extensions and trailers are dropped")
{
    CHECK(chunks("1;a\r\nx\r\n1 ; b = \"c;\td\"\r\ny\r\n0;last\r\n\r\n") == "xy");
    CHECK(chunks("1 \t\r\nx\r\n0\r\n\r\n") == "x"); // padding, which some clients write
    CHECK(chunks("1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nno header\r\n\r\n") == "x");
}

TEST_CASE("chunk extensions and trailers together are limited, and more is refused with 431")
{
    const std::string extension = ";" + std::string(39, 'e');
    const std::string chunk = "1" + extension + "\r\nx\r\n";
    CHECK(chunks(chunk + chunk + "0\r\n\r\n") == "xx");
    CHECK(chunks(chunk + chunk + chunk + "0\r\n\r\n") == "(431)");
    CHECK(chunks("1;" + std::string(200, 'e')) == "(431)");
    CHECK(chunks(std::string(200, '0')) == "(431)");
    const std::string trailer = "T: " + std::string(37, 't') + "\r\n";
    CHECK(chunks("0\r\n" + trailer + trailer + "\r\n") == "");
    CHECK(chunks("0\r\n" + trailer + trailer + trailer + "\r\n") == "(431)");
    CHECK(chunks(chunk + "0\r\n" + trailer + trailer + "\r\n") == "(431)");
    CHECK(chunks("0\r\n" + std::string(200, 't')) == "(431)");
}

TEST_CASE("many chunks without extensions are no matter of that limit")
{
    std::string bytes;
    for (int i = 0; i < 1000; ++i)
        bytes += "1\r\nx\r\n";
    CHECK(chunks(bytes + "0\r\n\r\n", 1000) == std::string(1000, 'x'));
}

TEST_CASE("chunks that are too large together are refused with 413 before the data comes")
{
    CHECK(chunks("64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n").size() == 100);
    CHECK(chunks("65\r\n") == "(413)");
    CHECK(chunks("64\r\n" + std::string(100, 'x') + "\r\n1\r\n") == "(413)");
    for (const char *huge : {"FFFFFFFF", "100000000", "ffffffffffffffff", "10000000000000000",
                             "10000000000000001", "fffffffffffffffffffffffff"}) {
        CAPTURE(huge);
        CHECK(chunks("1\r\nx\r\n"s + huge + "\r\n") == "(413)");
    }
}

TEST_CASE("malformed chunks are refused with 400")
{
    for (const std::string bad :
         {"\r\n", " 1\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", "g\r\n", ";a\r\n", "1 2\r\n", "1a g\r\n",
          "1,2\r\n", "1\n", "\n", "1\rx", "1\r\r\n", "1;a\nb\r\n", "1;\x1b[\r\n"}) {
        CAPTURE(bad);
        CHECK(chunks(bad) == "(400)");
    }
    CHECK(chunks("1;\0\r\n"sv) == "(400)");
    CHECK(chunks("1\r\nxy") == "(400)"); // at once, not at the end of the line
    CHECK(chunks("1\r\nx\n") == "(400)");
    CHECK(chunks("1\r\nx\r\r\n") == "(400)");
    CHECK(chunks("1\r\nx0\r\n\r\n") == "(400)");
    CHECK(chunks("0\r\nX: y\n") == "(400)");
    CHECK(chunks("0\r\nX: \x7f\r\n") == "(400)");
}

TEST_CASE("a client waits for 100 only if it says so, by HTTP/1.1")
{
    const auto expects = [](const std::string &headers, const std::string &version = "1.1") {
        Request request;
        parse(request, headers, version);
        return expects_continue(request);
    };
    CHECK(expects("Expect: 100-continue\r\n"));
    CHECK(expects("expect: 100-Continue\r\n"));
    CHECK(expects("Expect: a=b, 100-continue\r\n"));
    CHECK_FALSE(expects(""));
    CHECK_FALSE(expects("Expect: 100\r\n"));
    CHECK_FALSE(expects("Expect: 100-continue\r\n", "1.0"));
}
