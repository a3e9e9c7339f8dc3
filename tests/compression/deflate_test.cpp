// deflate_test.cpp: what is deflated, as ordinary peers read it. Where states come from is in
// deflate_pool_test.cpp, the receiving side in message_inflater_test.cpp.
#include "compression/deflate_pool.h"
#include "compression/history.h"
#include "tests/compression/zlib_peer.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace websock;
using namespace test;

namespace {

constexpr size_t kRoomy = 1 << 20;

std::string some_text(size_t len, uint32_t seed)
{
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < len)
        text += "{\"id\":" + std::to_string(random() % 1000) + ",\"name\":\"n" +
                std::to_string(random() % 20) + "\"},";
    return text.substr(0, len);
}

std::string random_text(size_t len, uint32_t seed)
{
    std::mt19937 random(seed);
    std::string text(len, 0);
    for (char &c : text)
        c = static_cast<char>(random());
    return text;
}

std::string text_of(const std::optional<Bytes> &bytes)
{
    return bytes ? std::string(bytes->begin(), bytes->end()) : "unreadable";
}

// One side of a connection: a history, and for each message a state of the pool.
struct Sender {
    DeflaterPool &pool;
    int window_bits;
    History history;

    Bytes send(const std::string &plain, bool last = true)
    {
        const std::span<const uint8_t> before = history.bytes();
        const auto state = pool.take(window_bits, before.size() + plain.size());
        const auto sent = state->deflate(before, bytes_of(plain), last, kRoomy);
        history.append(bytes_of(plain));
        return {sent.begin(), sent.end()};
    }
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("an ordinary peer reads messages that pooled states have deflated, at every level")
{
    for (int level = 1; level <= 9; ++level) {
        DeflaterPool pool(level);
        Sender sender{pool, 15, History(2048)};
        PeerInflater peer(15);
        for (uint32_t i = 0; i < test::scaled(60, 20); ++i) {
            const std::string plain = some_text(i % 10 == 9 ? 50000 : i * 60, i);
            const Bytes sent = sender.send(plain);
            REQUIRE(text_of(peer.inflate(sent, kRoomy)) == plain);
            if (plain.size() > 200)
                CHECK(sent.size() < plain.size() / 2);
        }
    }
}

// RFC 7692 7.2.1: "... the server MUST NOT use an LZ77 sliding window longer than the w-th ..."
TEST_CASE("a peer with a window of 8 to 15 bits reads what was deflated for such a window")
{
    for (int bits = 8; bits <= 15; ++bits) {
        for (const size_t history : {0u, 300u, 2048u, 32768u}) {
            CAPTURE(bits);
            CAPTURE(history);
            DeflaterPool pool(6, history);
            Sender sender{pool, bits, History(history)};
            PeerInflater peer(bits);
            for (uint32_t i = 0; i < test::scaled(40, 10); ++i) {
                const std::string plain = some_text(i % 8 == 7 ? 40000 : i * 40, i / 2);
                REQUIRE(text_of(peer.inflate(sender.send(plain), kRoomy)) == plain);
            }
        }
    }
}

// RFC 7692 7.2.1: "An endpoint MUST NOT use an LZ77 sliding window longer than 32,768 bytes ..."
TEST_CASE("nothing refers back further than 32,768 bytes")
{
    DeflaterPool pool(9, 32768);
    Sender sender{pool, 15, History(32768)};
    PeerInflater peer(15);
    const std::string noise = random_text(32768, 1);
    for (const size_t gap : {0u, 1u, 250u, 300u, 1000u}) {
        const std::string plain = noise + std::string(gap, 'x') + noise + noise.substr(7);
        CHECK(text_of(peer.inflate(sender.send(plain), kRoomy)) == plain);
    }
}

TEST_CASE("a history makes short messages shorter")
{
    DeflaterPool pool(3);
    Sender with{pool, 15, History(2048)};
    Sender without{pool, 15, History(0)};
    size_t bytes_with = 0;
    size_t bytes_without = 0;
    for (uint32_t i = 0; i < 50; ++i) {
        bytes_with += with.send(some_text(150, i)).size();
        bytes_without += without.send(some_text(150, i)).size();
    }
    CHECK(bytes_with < bytes_without * 2 / 3);
}

TEST_CASE("the empty message is one byte")
{
    DeflaterPool pool(6);
    const auto state = pool.take(15, 0);
    for (const std::string_view dictionary : {"", "something"}) {
        const auto sent = state->deflate(bytes_of(dictionary), {}, true, 2);
        CHECK(Bytes(sent.begin(), sent.end()) == Bytes{0x00});
    }
    CHECK(state->deflate({}, {}, true, 1).empty());
}

// RFC 7692 7.2.1: "... for non-final fragments, the removal of ... MUST NOT be done."
TEST_CASE("fragments that were deflated one by one are one message")
{
    DeflaterPool pool(6);
    Sender sender{pool, 15, History(2048)};
    PeerInflater peer(15);
    for (uint32_t i = 0; i < 20; ++i) {
        Bytes payload;
        std::string plain;
        for (uint32_t fragment = 0; fragment < 4; ++fragment) {
            const std::string part = some_text((i * fragment) % 5 * 100, i);
            const bool last = fragment == 3;
            const Bytes sent = sender.send(part, last);
            const Bytes tail(sent.end() - std::min<ptrdiff_t>(4, std::ssize(sent)), sent.end());
            CHECK((tail == Bytes{0x00, 0x00, 0xff, 0xff}) == !last);
            payload.insert(payload.end(), sent.begin(), sent.end());
            plain += part;
        }
        REQUIRE(text_of(peer.inflate(payload, kRoomy)) == plain);
    }
}

TEST_CASE("a result of so many bytes or more is given up")
{
    DeflaterPool pool(6);
    for (const std::string &plain : {some_text(1000, 1), random_text(1000, 1), std::string("x")}) {
        for (const bool last : {true, false}) {
            const auto state = pool.take(15, plain.size());
            const size_t size = state->deflate({}, bytes_of(plain), last, kRoomy).size();
            REQUIRE(size > 0);
            for (size_t most = 0; most <= size; ++most)
                CHECK(state->deflate({}, bytes_of(plain), last, most).empty());
            const auto sent = state->deflate({}, bytes_of(plain), last, size + 1);
            CHECK(sent.size() == size);
        }
    }
}

TEST_CASE("a state that gave up deflates the next message as if nothing had been")
{
    DeflaterPool pool(6);
    const auto state = pool.take(15, 100000);
    const std::string plain = some_text(1000, 1);
    const auto first = state->deflate({}, bytes_of(plain), true, kRoomy);
    const Bytes expected(first.begin(), first.end());
    CHECK(state->deflate({}, bytes_of(random_text(100000, 1)), true, 1000).empty());
    const auto again = state->deflate({}, bytes_of(plain), true, kRoomy);
    CHECK(Bytes(again.begin(), again.end()) == expected);
}

TEST_CASE("the copy of a dictionary does as well as the dictionary")
{
    DeflaterPool pool(6);
    const std::string plain = some_text(300, 1);
    for (const int bits : {8, 10, 12, 15}) {
        for (const size_t len : {0u, 1u, 200u, 4000u, 30000u}) {
            const std::string dictionary = some_text(len, 2);
            const auto state = pool.take(bits, dictionary.size() + plain.size());
            const auto direct = state->deflate(bytes_of(dictionary), bytes_of(plain), true, kRoomy);
            const Bytes expected(direct.begin(), direct.end());
            const auto copy = state->copy_dictionary(bytes_of(dictionary));
            CHECK(copy.size() <= size_t{1} << state->window_bits);
            const auto sent = state->deflate(copy, bytes_of(plain), true, kRoomy);
            CHECK(Bytes(sent.begin(), sent.end()) == expected);
        }
    }
}

TEST_SUITE_END();
