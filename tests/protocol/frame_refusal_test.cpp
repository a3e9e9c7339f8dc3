// frame_refusal_test.cpp: what a decoder must refuse, by RFC 6455 or by a limit, and
// after which byte.
#include "frame_stream.h"

#include <doctest/doctest.h>

#include <string>

using namespace frame_stream;

TEST_SUITE_BEGIN("no transport");

TEST_CASE("each reserved bit is refused at the first byte")
{
    for (int bit : {0x40, 0x20, 0x10}) {
        for (int first : {kFin | kText, kFin | kPing}) {
            CHECK(decode(frame(first | bit, "x")) == Lines{"error 1002"});
            CHECK(refused_after(frame(first | bit, "x")) == 1);
        }
    }
}

TEST_CASE("each reserved opcode is refused at the first byte")
{
    for (int opcode : {0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf}) {
        CHECK(decode(frame(kFin | opcode, "x")) == Lines{"error 1002"});
        CHECK(refused_after(frame(kFin | opcode, "x")) == 1);
    }
}

TEST_CASE("a frame without a mask is refused at the second byte")
{
    CHECK(decode(raw({0x81, 0x01, 'x'})) == Lines{"error 1002"});
    CHECK(refused_after(raw({0x81, 0x01, 'x'})) == 2);
    CHECK(refused_after(raw({0x89, 0x00})) == 2);
}

TEST_CASE("a fragmented control frame is refused at the first byte")
{
    for (int opcode : {kClose, kPing, kPong}) {
        CHECK(decode(frame(opcode, "x")) == Lines{"error 1002"});
        CHECK(refused_after(frame(opcode, "x")) == 1);
    }
}

TEST_CASE("a control frame may have 125 bytes and is refused at the second byte beyond that")
{
    for (int opcode : {kClose, kPing, kPong}) {
        CHECK(decode(frame(kFin | opcode, std::string(125, 'x'))).size() == 1);
        for (size_t len : {126u, 70000u}) {
            const std::string stream = frame(kFin | opcode, std::string(len, 'x'));
            CHECK(decode(stream) == Lines{"error 1002"});
            CHECK(refused_after(stream) == 2);
        }
    }
}

TEST_CASE("a length that is not in its shortest form is refused once that is certain")
{
    CHECK(decode(header(kFin | kText, 125, 2) + masked("x")) == Lines{"error 1002"});
    CHECK(refused_after(header(kFin | kText, 125, 2)) == 4);
    CHECK(decode(header(kFin | kText, 0xffff, 8) + masked("x")) == Lines{"error 1002"});
    CHECK(refused_after(header(kFin | kText, 0xffff, 8)) == 8);
}

TEST_CASE("a 64-bit length with its top bit set is refused at that byte")
{
    const std::string stream = header(kFin | kBinary, uint64_t{1} << 63, 8) + masked("x");
    CHECK(decode(stream) == Lines{"error 1002"});
    CHECK(refused_after(stream) == 3);
}

TEST_CASE("a continuation without a message is refused at the first byte")
{
    CHECK(decode(frame(kFin | kContinuation, "x")) == Lines{"error 1002"});
    CHECK(refused_after(frame(kContinuation, "x")) == 1);
    const std::string finished = frame(kText, "a") + frame(kFin | kContinuation, "b");
    CHECK(decode(finished + frame(kFin | kContinuation, "c")).back() == "error 1002");
    CHECK(decode(frame(kFin | kPing, "") + frame(kContinuation, "c")).back() == "error 1002");
}

TEST_CASE("a new message inside a fragmented one is refused at the first byte")
{
    const std::string begun = frame(kText, "a");
    for (int first : {int(kText), kFin | kText, int(kBinary), kFin | kBinary}) {
        CHECK(decode(begun + frame(first, "b")) == Lines{"text.. 'a'", "error 1002"});
        CHECK(refused_after(begun + frame(first, "b")) == begun.size() + 1);
    }
}

TEST_CASE("a frame over max_frame_payload is too large as soon as its length is there")
{
    const FrameLimits limits = {1024, 1 << 20};
    CHECK(decode(frame(kFin | kBinary, std::string(1024, 'x')), limits).front().starts_with("bin"));
    CHECK(decode(frame(kFin | kBinary, std::string(1025, 'x')), limits) ==
          Lines{"too large: binary 1025"});
    CHECK(decode(frame(kText, std::string(1025, 'x')), limits) == Lines{"too large: text.. 1025"});
    CHECK(refused_after(header(kFin | kBinary, 1025, 2), limits) == 4);
    const std::string huge = header(kFin | kBinary, (uint64_t{1} << 63) - 1, 8);
    CHECK(decode(huge, limits) == Lines{"too large: binary 9223372036854775807"});
    CHECK(refused_after(huge, limits) == 10);
}

TEST_CASE("max_frame_payload does not apply to control frames")
{
    CHECK(decode(frame(kFin | kPing, "four"), {3, 3}) == Lines{"ping 'four'"});
}

TEST_CASE("a message over max_message_payload fails with 1009 at the length that exceeds it")
{
    const FrameLimits limits = {8, 10};
    const std::string begun = frame(kText, "12345678");
    const Lines whole = {"text.. '12345678'", "continuation of text '9a'"};
    CHECK(decode(begun + frame(kFin | kContinuation, "9a"), limits) == whole);
    CHECK(decode(begun + frame(kFin | kContinuation, "9ab"), limits).back() == "error 1009");
    CHECK(refused_after(begun + frame(kFin | kContinuation, "9ab"), limits) == begun.size() + 2);
}

TEST_CASE("max_message_payload holds for a message of one frame, after max_frame_payload")
{
    CHECK(decode(frame(kFin | kText, "12345"), {8, 4}) == Lines{"error 1009"});
    CHECK(decode(frame(kFin | kText, "12345"), {4, 4}) == Lines{"too large: text 5"});
}

TEST_CASE("each message has max_message_payload to itself, and control frames none of it")
{
    const FrameLimits limits = {8, 10};
    const std::string message = frame(kText, "12345678") + frame(kFin | kPing, "12345678") +
                                frame(kFin | kContinuation, "9a");
    CHECK(decode(message + message, limits).size() == 6);
}

TEST_CASE("a length near 2^63 is held against the message limit")
{
    constexpr uint64_t kAll = ~uint64_t{0};
    const std::string stream = frame(kBinary, "x") + header(kContinuation, kAll >> 1, 8);
    // Where a size_t cannot hold that length, the frame itself is too large.
    const bool addressable = (kAll >> 1) < SIZE_MAX;
    const Lines begun = {"binary.. 'x'"};
    const Lines too_long = {"binary.. 'x'", "too large: continuation.. 9223372036854775807"};
    CHECK(decode(stream, {kAll, 100}) ==
          (addressable ? Lines{"binary.. 'x'", "error 1009"} : too_long));
    CHECK(decode(stream, {kAll, kAll}) == (addressable ? begun : too_long));
}

// RFC 6455 10.7: "Incoming data MUST always be validated by both clients and servers."
TEST_CASE("text that is not UTF-8 fails with 1007 at the offending byte")
{
    const std::string stream = frame(kFin | kText, "ab\xed\xa0\x80 and more");
    CHECK(decode(stream) == Lines{"error 1007"});
    CHECK(refused_after(stream) == 6 + 4);
}

TEST_CASE("a character may be cut by fragments, but not by the end of the message")
{
    CHECK(decode(frame(kText, "\xf0\x9f") + frame(kFin | kContinuation, "\x98\x80")) ==
          Lines{"text.. '\xf0\x9f'", "continuation of text '\x98\x80'"});
    CHECK(decode(frame(kFin | kText, "\xf0\x9f")) == Lines{"error 1007"});
    CHECK(decode(frame(kText, "\xf0\x9f") + frame(kFin | kContinuation, "")) ==
          Lines{"text.. '\xf0\x9f'", "error 1007"});
    CHECK(decode(frame(kText, "\xf0\x9f") + frame(kFin | kContinuation, "\x98z")) ==
          Lines{"text.. '\xf0\x9f'", "error 1007"});
}

TEST_CASE("binary messages need not be UTF-8")
{
    CHECK(decode(frame(kFin | kBinary, "\xff\xfe")) == Lines{"binary '\xff\xfe'"});
}

TEST_SUITE_END();
