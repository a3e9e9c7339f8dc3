// buffer_test.cpp: where received bytes get their room, and when there is none. What
// connections do with it is in message_test.cpp and flow_test.cpp.
#include "base/buffer.h"
#include "protocol/assembly.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

using namespace websock;

namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();
constexpr size_t kTrusted = 16 * 1024; // bytes, after which a frame's length is believed

void receive(ReceiveBuffer &buffer, size_t n)
{
    while (n > 0) {
        const std::span<uint8_t> room = buffer.room(0);
        const size_t taken = std::min(n, room.size());
        std::memset(room.data(), 'x', taken);
        buffer.received(taken, 0);
        n -= taken;
    }
}

bool in_chunk(const ReceiveBuffer &buffer, std::span<uint8_t> room)
{
    const Ref<Chunk> &chunk = buffer.chunk();
    const uint8_t *end = chunk->data() + chunk->capacity();
    return room.data() >= chunk->data() && room.data() <= end &&
           room.size() <= static_cast<size_t>(end - room.data());
}

// Writes a frame of len bytes into the buffer in reads of at most piece bytes, and consumes it.
// How many chunks it was in, one after the other.
size_t chunks_of_frame(ReceiveBuffer &buffer, size_t len, size_t piece)
{
    std::vector<Ref<Chunk>> chunks; // held, so that no two have the same address
    for (size_t left = len; left > 0;) {
        const size_t n = std::min({left, piece, buffer.room(left == len ? 0 : len).size()});
        if (chunks.empty() || chunks.back().get() != buffer.chunk().get())
            chunks.push_back(buffer.chunk());
        buffer.received(n, 0);
        left -= n;
    }
    CHECK(buffer.unread().size() == len);
    buffer.consume(len);
    return chunks.size();
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a chunk as large as the address space is no memory, and not a small one")
{
    for (size_t capacity :
         {kAll, kAll - 1, kAll - sizeof(Chunk), kAll - sizeof(Chunk) + 1, kAll / 2})
        CHECK_THROWS_AS(Chunk::make(capacity), std::bad_alloc);
}

TEST_CASE("a frame that announces all the address space gets little room at first")
{
    ReceiveBuffer buffer(kAll);
    receive(buffer, 14); // its header
    for (size_t frame_len : {kAll, kAll - 14, kAll / 2 + 15}) {
        const std::span<uint8_t> room = buffer.room(frame_len);
        CHECK(room.size() <= 64 * 1024);
        CHECK(in_chunk(buffer, room));
    }
}

TEST_CASE("a frame that announces all the address space behind others gets room in its chunk")
{
    ReceiveBuffer buffer(kAll);
    receive(buffer, 300);
    buffer.consume(286); // frames before it
    const std::span<uint8_t> room = buffer.room(kAll);
    CHECK(room.size() <= 64 * 1024);
    CHECK(in_chunk(buffer, room));
}

TEST_CASE("no room is made up for a frame as long as the address space of which much has come")
{
    for (size_t before : {0u, 1u, 14u, 300u}) {
        for (size_t frame_len : {kAll, kAll - before, kAll - sizeof(Chunk), kAll / 2}) {
            CAPTURE(before);
            CAPTURE(frame_len);
            ReceiveBuffer buffer(kAll);
            receive(buffer, before + kTrusted);
            buffer.consume(before);
            CHECK_THROWS_AS(buffer.room(frame_len), std::bad_alloc);
            CHECK(buffer.unread().size() == kTrusted); // as it was
        }
    }
}

TEST_CASE("a large frame that comes in small pieces is moved twice: once for its first bytes, and "
          "once its length is believed")
{
    for (size_t piece : {14u, 100u, 500u}) {
        CAPTURE(piece);
        ReceiveBuffer buffer(kAll);
        CHECK(chunks_of_frame(buffer, 1024 * 1024, piece) == 3);
    }
}

TEST_CASE("a large frame has its chunk to itself, and the next one starts in a shared chunk")
{
    ReceiveBuffer buffer(kAll);
    constexpr size_t kLen = 20'000;
    receive(buffer, 14);
    CHECK(buffer.room(kLen).size() == kLen - 14);
    const Ref<Chunk> own = buffer.chunk();
    buffer.received(kLen - 14, 0);
    buffer.consume(kLen);
    (void)buffer.room(0);
    CHECK(buffer.chunk().get() != own.get());
    CHECK(buffer.chunk()->capacity() < kLen);
}

TEST_CASE("small frames share a chunk, which is filled from its start once nobody refers to them")
{
    ReceiveBuffer buffer(kAll);
    uint8_t *const start = buffer.room(0).data();
    Ref<Chunk> event = buffer.chunk();
    receive(buffer, 100);
    buffer.consume(100);
    CHECK(buffer.room(0).data() == start + 100);
    event = nullptr;
    CHECK(buffer.room(0).data() == start);
}

TEST_CASE("unread bytes are the same, wherever room was made for more")
{
    ReceiveBuffer buffer(kAll);
    std::vector<uint8_t> sent;
    for (size_t at = 0; at < 100'000;) {
        const std::span<uint8_t> room = buffer.room(at < 50'000 ? 0 : 100'000);
        const size_t n = std::min<size_t>(room.size(), 777);
        for (size_t i = 0; i < n; ++i) {
            room[i] = static_cast<uint8_t>((at + i) * 7);
            sent.push_back(room[i]);
        }
        buffer.received(n, 0);
        at += n;
    }
    const std::span<uint8_t> unread = buffer.unread();
    CHECK(std::vector<uint8_t>(unread.begin(), unread.end()) == sent);
}

TEST_CASE("fragments are joined, with a NUL behind them")
{
    const std::vector<uint8_t> piece(1000, 'p');
    Assembly assembly;
    for (int i = 0; i < 5; ++i)
        assembly.add(piece);
    assembly.add({});
    REQUIRE(assembly.len() == 5000);
    const Ref<Chunk> message = assembly.finish();
    CHECK(std::vector<uint8_t>(message->data(), message->data() + 5000) ==
          std::vector<uint8_t>(5000, 'p'));
    CHECK(message->data()[5000] == 0);
    CHECK(assembly.len() == 0);
}

TEST_SUITE_END();
