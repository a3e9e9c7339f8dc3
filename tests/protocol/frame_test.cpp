// frame_test.cpp: the frames a decoder hands over. Those it refuses are in
// frame_refusal_test.cpp; encoding and Close payloads are in frame_encode_test.cpp.
#include "frame_stream.h"

#include <doctest/doctest.h>

#include <string>

using namespace frame_stream;

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the masked Hello of RFC 6455 5.7 is decoded")
{
    const std::string stream =
        raw({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
    CHECK(decode(stream) == Lines{"text 'Hello'"});
}

TEST_CASE("several frames in one piece come out one after the other")
{
    const std::string stream = frame(kFin | kText, "one") + frame(kFin | kBinary, "two") +
                               frame(kFin | kPing, "") + frame(kFin | kText, "");
    CHECK(decode(stream) == Lines{"text 'one'", "binary 'two'", "ping ''", "text ''"});
}

TEST_CASE("payloads at the boundaries of the three length encodings are decoded")
{
    for (size_t len : {0u, 1u, 3u, 4u, 5u, 125u, 126u, 127u, 300u, 0xffffu, 0x10000u, 70000u}) {
        const std::string payload(len, 'x');
        const Lines lines = decode(frame(kFin | kBinary, payload) + frame(kFin | kText, "next"));
        CAPTURE(len);
        REQUIRE(lines.size() == 2);
        CHECK(lines[0] == "binary '" + payload + "'");
        CHECK(lines[1] == "text 'next'");
    }
}

TEST_CASE("a text longer than a stride of the decoder is decoded whole")
{
    std::string text;
    while (text.size() < 50000) {
        text += "\xe2\x82\xac, ";
    }
    CHECK(decode(frame(kFin | kText, text)) == Lines{"text '" + text + "'"});
    text[40000] = '\xff';
    CHECK(decode(frame(kFin | kText, text)) == Lines{"error 1007"});
}

// RFC 6455 5.4: "... the type for all fragments in a message MUST be either text, binary, ..."
TEST_CASE("fragments carry the type of the message they belong to")
{
    CHECK(decode(frame(kText, "Hel") + frame(kContinuation, "lo, ") +
                 frame(kFin | kContinuation, "you")) ==
          Lines{"text.. 'Hel'", "continuation.. of text 'lo, '", "continuation of text 'you'"});
    CHECK(decode(frame(kBinary, "\xff") + frame(kFin | kContinuation, "\xfe")) ==
          Lines{"binary.. '\xff'", "continuation of binary '\xfe'"});
}

TEST_CASE("fragments may be empty")
{
    CHECK(decode(frame(kText, "") + frame(kContinuation, "") + frame(kFin | kContinuation, "")) ==
          Lines{"text.. ''", "continuation.. of text ''", "continuation of text ''"});
}

TEST_CASE("control frames between fragments do not disturb the message")
{
    const std::string stream = frame(kText, "\xe2\x82") + frame(kFin | kPing, "\xff") +
                               frame(kFin | kPong, "p") + frame(kFin | kContinuation, "\xac") +
                               frame(kFin | kBinary, "\xff");
    CHECK(decode(stream) == Lines{"text.. '\xe2\x82'", "ping '\xff'", "pong 'p'",
                                  "continuation of text '\xac'", "binary '\xff'"});
}

TEST_CASE("a Close frame is handed over with its payload")
{
    CHECK(decode(frame(kFin | kClose, "\x03\xe8so long")) == Lines{"close '\x03\xe8so long'"});
}

TEST_CASE("a header that is there is described before its payload has come")
{
    const std::string stream = frame(kText, "Hello");
    Guarded memory(stream);
    Decoder decoder(kRoomy);
    CHECK(decoder.decode(memory.span().first(1)).frame_len == 0);
    const Decoded result = decoder.decode(memory.span().first(8));
    CHECK(result.kind == Decoded::need_more);
    CHECK_FALSE(result.fin);
    CHECK(result.opcode == Opcode::text);
    CHECK(result.payload_len == 5);
    CHECK(result.frame_len == stream.size());
}

TEST_CASE("what follows a frame is left alone")
{
    const std::string next = frame(kFin | kText, "next");
    Guarded memory(frame(kFin | kBinary, "first") + next);
    Decoder decoder(kRoomy);
    const Decoded result = decoder.decode(memory.span());
    CHECK(memory.text().substr(result.frame_len) == next);
}

TEST_SUITE_END();
