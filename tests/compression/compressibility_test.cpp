// compressibility_test.cpp: which messages are not worth the time to deflate them.
#include "compression/compressibility.h"
#include "tests/compression/zlib_peer.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace websock;
using namespace test;

namespace {

constexpr size_t kLengths[] = {64, 100, 255, 256, 1000, 2048, 100000};

std::string random_of(size_t len, std::string_view values, uint32_t seed)
{
    std::mt19937 random(seed);
    std::string text(len, 0);
    for (char &c : text)
        c = values.empty() ? static_cast<char>(random()) : values[random() % values.size()];
    return text;
}

// How many of a hundred such texts look as if they could not be compressed.
template<class Make> int percent(const Make &make)
{
    const size_t texts = test::scaled(100, 20);
    size_t count = 0;
    for (uint32_t seed = 0; seed < texts; ++seed)
        count += looks_incompressible(bytes_of(make(seed)));
    return static_cast<int>(100 * count / texts);
}

std::string records(size_t len, uint32_t seed)
{
    struct Record {
        uint32_t id;
        uint16_t count;
        uint16_t kind;
        float price;
        uint32_t time;
    };
    static_assert(sizeof(Record) == 16);
    std::mt19937 random(seed);
    std::string bytes;
    for (auto id = static_cast<uint32_t>(random()); bytes.size() < len; ++id) {
        const Record record{id, static_cast<uint16_t>(random() % 1000),
                            static_cast<uint16_t>(random() % 8),
                            static_cast<float>(random() % 10000) / 100, 1'700'000'000 + id % 1000};
        bytes.append(reinterpret_cast<const char *>(&record), sizeof record);
    }
    return bytes.substr(0, len);
}

std::string json(size_t len, uint32_t seed)
{
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < len)
        text += "{\"id\":" + std::to_string(random()) +
                ",\"price\":" + std::to_string(static_cast<double>(random() % 100000) / 100) +
                ",\"open\":true},";
    return text.substr(0, len);
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("random bytes look incompressible")
{
    for (const size_t len : kLengths) {
        CAPTURE(len);
        CHECK(percent([&](uint32_t seed) { return random_of(len, "", seed); }) >= 98);
    }
}

TEST_CASE("what was compressed already looks incompressible")
{
    const std::string text = json(200000, 1);
    const Bytes deflated = PeerDeflater(15, 9).deflate(bytes_of(text));
    for (const size_t len : {256u, 2048u}) {
        for (size_t at = 1000; at + len < deflated.size(); at += len)
            CHECK(looks_incompressible(std::span(deflated).subspan(at, len)));
    }
}

TEST_CASE("text, JSON, base64, hexadecimal digits and records look compressible")
{
    const std::string_view base64 =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (const size_t len : kLengths) {
        CAPTURE(len);
        CHECK(percent([&](uint32_t seed) { return random_of(len, base64, seed); }) <= 2);
        CHECK(percent([&](uint32_t seed) { return random_of(len, base64.substr(26, 27), seed); }) ==
              0);
        CHECK(percent([&](uint32_t seed) { return random_of(len, "0123456789abcdef", seed); }) ==
              0);
        CHECK(percent([&](uint32_t seed) { return json(len, seed); }) == 0);
        CHECK(percent([&](uint32_t seed) { return records(len, seed); }) == 0);
    }
}

TEST_CASE("what begins with a little text looks like the rest")
{
    CHECK(looks_incompressible(bytes_of(json(200, 1) + random_of(2000, "", 1))));
    CHECK_FALSE(looks_incompressible(bytes_of(random_of(200, "", 1) + json(2000, 1))));
}

TEST_CASE("a few bytes always look compressible: they are too few to tell")
{
    for (size_t len = 0; len < 64; ++len)
        CHECK_FALSE(looks_incompressible(bytes_of(random_of(len, "", 1))));
}

TEST_SUITE_END();
