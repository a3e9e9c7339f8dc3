// frame_encode_test.cpp: the headers the server writes, and the payload of Close
// frames in both directions.
#include "protocol/frame.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace websock;

namespace {

std::string header(bool fin, Opcode opcode, uint64_t len, size_t expected_size)
{
    Guarded out(expected_size);
    const size_t size = encode_header(out.data(), fin, opcode, len);
    return std::string(out.text().substr(0, size));
}

ClosePayload parse(std::string_view payload)
{
    return parse_close({reinterpret_cast<const uint8_t *>(payload.data()), payload.size()});
}

std::string close_code(int code)
{
    return {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
}

std::string encode(uint16_t code, std::string_view reason)
{
    Guarded out(kMaxControlPayload);
    const size_t len = encode_close(out.data(), code, reason);
    return std::string(out.text().substr(0, len));
}

using namespace std::string_view_literals;

} // namespace

TEST_SUITE_BEGIN("no transport");

// RFC 6455 5.1: "A server MUST NOT mask any frames that it sends to the client."
// RFC 6455 5.2: "MUST be 0 unless an extension is negotiated ..."
// RFC 6455 6.1: "The FIN bit ... of the last frame containing the data MUST be set to 1 ..."
TEST_CASE("a header has FIN, the opcode, no mask and the shortest length")
{
    CHECK(header(true, Opcode::text, 0, 2) == "\x81\x00"sv);
    CHECK(header(false, Opcode::binary, 5, 2) == "\x02\x05"sv);
    CHECK(header(true, Opcode::continuation, 125, 2) == "\x80\x7d"sv);
    CHECK(header(true, Opcode::pong, 125, 2) == "\x8a\x7d"sv);
    CHECK(header(true, Opcode::text, 126, 4) == "\x81\x7e\x00\x7e"sv);
    CHECK(header(true, Opcode::text, 0xffff, 4) == "\x81\x7e\xff\xff"sv);
    CHECK(header(true, Opcode::text, 0x10000, 10) == "\x81\x7f\0\0\0\0\0\x01\0\0"sv);
    CHECK(header(true, Opcode::binary, 0x0123456789abcdef, kMaxServerHeader) ==
          "\x82\x7f\x01\x23\x45\x67\x89\xab\xcd\xef"sv);
}

// RFC 6455 7.4.1: "1005 ... MUST NOT be set as a status code in a Close control frame ..."
// RFC 6455 7.4.1: "1006 ... MUST NOT be set as a status code in a Close control frame ..."
// RFC 6455 7.4.1: "1015 ... MUST NOT be set as a status code in a Close control frame ..."
TEST_CASE("the codes that may be sent are those of RFC 6455 7.4 and the registry")
{
    for (int code = 0; code <= 0xffff; ++code) {
        const bool sendable =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code < 5000);
        if (is_sendable_close_code(static_cast<uint16_t>(code)) != sendable) {
            FAIL_CHECK("code ", code);
        }
    }
}

TEST_CASE("an empty Close payload means 1005")
{
    const ClosePayload close = parse("");
    CHECK(close.ok);
    CHECK(close.code == 1005);
    CHECK(close.reason == "");
}

TEST_CASE("a Close payload has a code and a reason")
{
    CHECK(parse(close_code(1000)).code == 1000);
    const std::string payload = close_code(4999) + "gr\xc3\xbcn";
    const ClosePayload close = parse(payload);
    CHECK(close.ok);
    CHECK(close.code == 4999);
    CHECK(close.reason == "gr\xc3\xbcn");
}

TEST_CASE("a Close payload of one byte is a protocol error")
{
    const ClosePayload close = parse("\x03");
    CHECK_FALSE(close.ok);
    CHECK(close.close_code == 1002);
    CHECK(close.error == "Close frame has half a code");
}

TEST_CASE("a Close payload with a code that may not be sent is a protocol error")
{
    for (int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
        CAPTURE(code);
        const ClosePayload close = parse(close_code(code));
        CHECK_FALSE(close.ok);
        CHECK(close.close_code == 1002);
        CHECK(close.error ==
              "Close frame has code " + std::to_string(code) + ", which may not be sent");
    }
}

TEST_CASE("a Close reason that is not UTF-8 fails with 1007")
{
    for (std::string_view reason : {"\xff"sv, "cut \xe2\x82"sv}) {
        const std::string payload = close_code(1000) + std::string(reason);
        CHECK_FALSE(parse(payload).ok);
        CHECK(parse(payload).close_code == 1007);
    }
}

TEST_CASE("encode_close writes what parse_close reads")
{
    CHECK(encode(1000, "") == "\x03\xe8");
    CHECK(encode(1001, "so long") == "\x03\xe9so long");
    const std::string payload = encode(3000, "\xe2\x82\xac");
    CHECK(parse(payload).code == 3000);
    CHECK(parse(payload).reason == "\xe2\x82\xac");
}

TEST_CASE("1005 is encoded as nothing at all")
{
    CHECK(encode(1005, "unheard") == "");
}

TEST_CASE("a Close reason is cut after the last whole character that fits")
{
    const std::string fits(kMaxCloseReason, 'x');
    CHECK(encode(1000, fits) == close_code(1000) + fits);
    CHECK(encode(1000, fits + "y") == close_code(1000) + fits);
    const std::string nearly(kMaxCloseReason - 2, 'x');
    CHECK(encode(1000, nearly + "\xe2\x82\xac") == close_code(1000) + nearly);
}

TEST_SUITE_END();
