// message_inflater_test.cpp: compressed messages of a client, in frames that are cut anywhere, and
// what is none. How states are pooled is in deflate_pool_test.cpp.
#include "compression/message_inflater.h"
#include "tests/compression/zlib_peer.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

using namespace websock;
using namespace test;

using Result = MessageInflater::Result;

namespace {

constexpr uint64_t kRoomy = 1 << 24;

std::string some_text(size_t len, uint32_t seed)
{
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < len)
        text += "{\"id\":" + std::to_string(random() % 1000) + "},";
    return text.substr(0, len);
}

// The receiving side of one connection, and the text that has come.
struct Receiver {
    InflaterPool &pool;
    int window_bits = 15;
    bool takeover = true;
    uint64_t max_message = kRoomy;
    MessageInflater inflater{pool, window_bits, takeover, max_message};
    std::string text{};
    size_t longest = 0; // of what came at a time

    Result feed(std::span<const uint8_t> payload, bool fin = true)
    {
        return inflater.feed(payload, fin, [&](std::span<const uint8_t> plain) {
            text.append(plain.begin(), plain.end());
            longest = std::max(longest, plain.size());
            return true;
        });
    }
    Result feed(const Bytes &payload, bool fin = true) { return feed(std::span(payload), fin); }

    // A whole message in one frame: its text, or what went wrong.
    std::string read(std::span<const uint8_t> payload)
    {
        text.clear();
        const Result result = feed(payload);
        return result == Result::ok        ? text
               : result == Result::corrupt ? "corrupt"
               : result == Result::too_big ? "too big"
                                           : "stopped";
    }
    std::string read(const Bytes &payload) { return read(std::span(payload)); }
};

// RFC 7692 7.2.3: its examples.
const Bytes kHello{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
const Bytes kHelloAgain{0xf2, 0x00, 0x11, 0x00, 0x00};
const Bytes kHelloStored{0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00};
const Bytes kHelloFinal{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};
const Bytes kHelloInTwo{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff,
                        0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the examples of RFC 7692 are read")
{
    InflaterPool pool;
    for (const Bytes &payload : {kHello, kHelloStored, kHelloFinal, kHelloInTwo}) {
        Receiver receiver{pool};
        CHECK(receiver.read(payload) == "Hello");
        CHECK(receiver.read(kHelloAgain) == "Hello");
        CHECK(receiver.read(Bytes{0x00}).empty());
        CHECK(receiver.read(kHello) == "Hello");
        CHECK(receiver.inflater.messages() == 4);
        CHECK(receiver.inflater.bytes_in() == payload.size() + 5 + 1 + 7);
        CHECK(receiver.inflater.bytes_out() == 15);
    }
}

TEST_CASE("a message may be cut anywhere into frames, empty ones among them")
{
    InflaterPool pool;
    for (const Bytes &payload : {kHello, kHelloStored, kHelloFinal, kHelloInTwo}) {
        for (size_t cut = 0; cut <= payload.size(); ++cut) {
            CAPTURE(cut);
            Receiver receiver{pool};
            CHECK(receiver.feed(std::span(payload).first(cut), false) == Result::ok);
            CHECK(receiver.feed(Bytes{}, false) == Result::ok);
            CHECK(receiver.feed(std::span(payload).subspan(cut)) == Result::ok);
            CHECK(receiver.text == "Hello");
            CHECK(receiver.read(kHelloAgain) == "Hello");
        }
    }
}

TEST_CASE("a message without a byte of payload is empty, and the next one is read as ever")
{
    InflaterPool pool;
    Receiver receiver{pool};
    CHECK(receiver.read(kHello) == "Hello");
    CHECK(receiver.read(Bytes{}).empty());
    CHECK(receiver.feed(Bytes{}, false) == Result::ok);
    CHECK(receiver.read(Bytes{}).empty());
    CHECK(receiver.inflater.messages() == 3);
    CHECK(receiver.read(kHelloAgain) == "Hello");
}

TEST_CASE("a message may end with a final block, or go on after it, even in the next frame")
{
    InflaterPool pool;
    Receiver receiver{pool};
    const Bytes block(kHelloFinal.begin(), kHelloFinal.end() - 1);
    CHECK(receiver.read(block) == "Hello");
    CHECK(receiver.read(kHelloAgain) == "Hello");
    Bytes twice = block;
    twice.insert(twice.end(), block.begin(), block.end());
    CHECK(receiver.read(twice) == "HelloHello");
    CHECK(receiver.read(kHelloAgain) == "Hello");
    receiver.text.clear();
    CHECK(receiver.feed(block, false) == Result::ok);
    CHECK(receiver.feed(Bytes{}, false) == Result::ok);
    CHECK(receiver.feed(kHelloAgain) == Result::ok);
    CHECK(receiver.text == "HelloHello");
}

TEST_CASE("after a final block a message may refer back to what came before, takeover or not")
{
    InflaterPool pool;
    for (const bool takeover : {true, false}) {
        Receiver receiver{pool, 15, takeover};
        const std::string plain = some_text(20000, 1);
        PeerDeflater peer(15, 6);
        Bytes payload = peer.run(bytes_of(plain), Z_FINISH);
        // An H, and 4 bytes from 5 bytes back.
        payload.insert(payload.end(), kHelloAgain.begin(), kHelloAgain.end());
        CHECK(receiver.read(payload) == plain + "H" + plain.substr(plain.size() - 4));
    }
}

// RFC 7692 7.2.2: "Otherwise, the server MUST decompress each new message using ..."
TEST_CASE("a message may refer back to those before, in every window")
{
    InflaterPool pool;
    for (int bits = 9; bits <= 15; ++bits) { // zlib cannot deflate with 8
        CAPTURE(bits);
        Receiver receiver{pool, bits};
        PeerDeflater peer(bits, 6);
        for (uint32_t i = 0; i < 40; ++i) {
            const std::string plain = some_text(i % 8 == 7 ? 50000 : i * 30, i / 2);
            REQUIRE(receiver.read(peer.deflate(bytes_of(plain))) == plain);
            CHECK(receiver.inflater.memory() <= size_t{1} << bits);
        }
        CHECK(pool.figures().in_use == 0);
    }
}

// RFC 7692 7.2.2: "Otherwise, the server MUST use a 32,768-byte LZ77 sliding window ..."
TEST_CASE("a message may refer back by 32,768 bytes, which is the whole of a large window")
{
    InflaterPool pool;
    Receiver receiver{pool};
    std::string plain(32768, 'x');
    plain.replace(0, 258, std::string(258, 'y'));
    CHECK(receiver.read(PeerDeflater(15, 6).deflate(bytes_of(plain))) == plain);
    // A block with fixed codes: 258 bytes, 32,768 bytes back (24,577 and 13 bits more); its end;
    // and the header of the empty block.
    const std::string bits =
        std::string("010") + "11000101" + "11101" + "1111111111111" + "0000000" + "000";
    Bytes payload((bits.size() + 7) / 8);
    for (size_t i = 0; i < bits.size(); ++i)
        payload[i / 8] = static_cast<uint8_t>(payload[i / 8] | (bits[i] - '0') << (i % 8));
    CHECK(receiver.read(payload) == std::string(258, 'y'));
    Receiver smaller{pool, 14};
    CHECK(smaller.read(PeerDeflater(9, 6).deflate(bytes_of(plain))) == plain);
    CHECK(smaller.read(payload) == "corrupt");
}

TEST_CASE("without takeover a message cannot refer back to one before, and nothing is kept")
{
    InflaterPool pool;
    Receiver receiver{pool, 15, false};
    CHECK(receiver.read(kHello) == "Hello");
    CHECK(receiver.inflater.memory() == 0);
    CHECK(receiver.read(kHello) == "Hello");
    CHECK(receiver.read(kHelloAgain) == "corrupt");
}

TEST_CASE("between messages a connection keeps what it has seen, and no state")
{
    InflaterPool pool;
    Receiver receiver{pool, 12};
    CHECK(receiver.inflater.memory() == 0);
    CHECK(receiver.feed(Bytes{}, false) == Result::ok); // no payload yet
    CHECK(pool.figures().in_use == 0);
    CHECK(receiver.feed(std::span(kHello).first(3), false) == Result::ok);
    CHECK(pool.figures().in_use == 1);
    CHECK(receiver.feed(std::span(kHello).subspan(3)) == Result::ok);
    CHECK(pool.figures().in_use == 0);
    CHECK(receiver.inflater.memory() <= 128);
    CHECK(receiver.feed(PeerDeflater(12, 6).deflate(bytes_of(some_text(9000, 1)))) == Result::ok);
    CHECK(receiver.inflater.memory() == 4096);
}

TEST_CASE("a message that is exactly as long as it may be is read, one byte more is too much")
{
    InflaterPool pool;
    for (const size_t max : {0u, 1u, 1000u, 16383u, 16384u, 16385u, 50000u}) {
        CAPTURE(max);
        const std::string plain = some_text(max, 1);
        Receiver receiver{pool, 15, true, max};
        PeerDeflater peer(15, 6);
        CHECK(receiver.read(peer.deflate(bytes_of(plain))) == plain);
        CHECK(receiver.read(peer.deflate(bytes_of(plain))) == plain); // each message counts anew
        CHECK(receiver.read(peer.deflate(bytes_of(plain + "x"))) == "too big");
        CHECK(receiver.text.size() <= max);
        CHECK(pool.figures().in_use == 0);
    }
}

TEST_CASE("a message that would be far too long costs no more than one that is not")
{
    InflaterPool pool;
    Receiver receiver{pool, 15, true, 100000};
    CHECK(receiver.read(PeerDeflater(15, 9).deflate(bytes_of(std::string(kRoomy, 0)))) ==
          "too big");
    CHECK(receiver.text.size() <= 100000);
    CHECK(receiver.inflater.bytes_out() <= 100000);
}

TEST_CASE("a limit that comes down in the middle of a message holds for the rest of it")
{
    InflaterPool pool;
    for (const size_t come : {999u, 1000u, 1001u, 50000u}) {
        CAPTURE(come);
        Receiver receiver{pool};
        const std::string plain = some_text(come, 1);
        PeerDeflater peer(15, 6);
        CHECK(receiver.feed(peer.deflate(bytes_of(plain)), false) == Result::ok);
        // What was left out of the end of the first frame's block.
        CHECK(receiver.feed(Bytes{0, 0, 0xff, 0xff}, false) == Result::ok);
        receiver.inflater.limit(1000);
        CHECK(receiver.feed(peer.deflate(bytes_of(some_text(kRoomy, 2)))) == Result::too_big);
        CHECK(receiver.text.size() <= std::max<size_t>(come, 1000));
    }
}

TEST_CASE("text comes 16 KiB at a time, or less")
{
    InflaterPool pool;
    Receiver receiver{pool};
    const std::string plain(1'000'000, 'x');
    CHECK(receiver.read(PeerDeflater(15, 6).deflate(bytes_of(plain))) == plain);
    CHECK(receiver.longest == 16384);
}

TEST_CASE(
    "all text comes, even where the last byte of payload stands for more than 16 KiB have room")
{
    InflaterPool pool;
    for (size_t beginning = 0; beginning < 16; ++beginning) {
        for (size_t len = 16384 - beginning; len < 16384 + 300; len += test::scaled(1, 7)) {
            const std::string plain = some_text(beginning, 1) + std::string(len, 'x');
            const Bytes payload = PeerDeflater(15, 6).deflate(bytes_of(plain));
            Receiver receiver{pool};
            const bool whole = receiver.read(payload) == plain;
            if (!whole)
                FAIL("with ", beginning, " and ", len);
        }
    }
}

TEST_CASE("a message that ends too early is corrupt, wherever that is")
{
    InflaterPool pool;
    const std::string plain = some_text(700, 1);
    const Bytes deflated = PeerDeflater(15, 6).deflate(bytes_of(plain));
    for (const Bytes &payload : {kHello, kHelloStored, deflated}) {
        for (size_t len = 2; len < payload.size(); ++len) { // the one byte 00 is an empty message
            CAPTURE(len);
            Receiver receiver{pool};
            CHECK(receiver.read(std::span(payload).first(len)) == "corrupt");
            CHECK(pool.figures().in_use == 0);
        }
    }
}

TEST_CASE("a message with something behind its end is corrupt")
{
    InflaterPool pool;
    for (const int more : {0x00, 0x01, 0xff}) {
        Bytes payload = kHello;
        payload.push_back(static_cast<uint8_t>(more));
        CHECK(Receiver{pool}.read(payload) == "corrupt");
    }
    Bytes with_tail = kHello;
    with_tail.insert(with_tail.end(), {0x00, 0x00, 0xff, 0xff});
    CHECK(Receiver{pool}.read(with_tail) == "corrupt");
}

TEST_CASE("what is no DEFLATE is corrupt, and the next connection finds the state clean")
{
    InflaterPool pool;
    for (const Bytes &payload :
         {Bytes{0x07}, Bytes(100, 0xff), kHelloAgain, Bytes{0x00, 0x05, 0x00, 0xfb, 0xff, 'H'}}) {
        CHECK(Receiver{pool}.read(payload) == "corrupt");
        CHECK(Receiver{pool}.read(kHello) == "Hello");
    }
    CHECK(pool.figures().in_use == 0);
    CHECK(pool.figures().idle == 1);
}

TEST_CASE("what one connection has sent is nowhere for another one to refer back to")
{
    InflaterPool pool;
    CHECK(Receiver{pool}.read(kHello) == "Hello");
    CHECK(Receiver{pool}.read(kHelloAgain) == "corrupt");
}

TEST_CASE("inflating stops where no more is wanted")
{
    InflaterPool pool;
    MessageInflater inflater(pool, 15, true, kRoomy);
    size_t taken = 0;
    const Bytes payload = PeerDeflater(15, 6).deflate(bytes_of(std::string(100000, 'x')));
    const Result result = inflater.feed(payload, true, [&](std::span<const uint8_t> plain) {
        taken += plain.size();
        return taken < 30000;
    });
    CHECK(result == Result::stopped);
    CHECK(taken == 32768);
    CHECK(pool.figures().in_use == 0);
}

TEST_SUITE_END();
