// receive_buffer_test.cpp: how large a connection's receive buffer is, by what came and when.
// How much memory all buffers of a connection may take is in hostile_memory_test.cpp.
#include "base/buffer.h"

#include <doctest/doctest.h>

#include <vector>

using websock::Chunk;
using websock::ReceiveBuffer;
using websock::Ref;
using websock::SharedCapacity;

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kManyBytes = 64 * kKiB * kKiB; // max_queued_bytes that limit no buffer
constexpr int64_t kStart = 5000;

// Reads at most so many bytes, and consumes them. Returns how many there was room for.
size_t read(ReceiveBuffer &buffer, size_t bytes, int64_t now_ms)
{
    const size_t room = buffer.room(0).size();
    const size_t n = std::min(bytes, room);
    buffer.received(n, now_ms);
    buffer.consume(n);
    return room;
}

// The room there is after reads that each filled theirs.
size_t room_after_a_burst(ReceiveBuffer &buffer, int64_t now_ms)
{
    for (int i = 0; i < 20; i++)
        read(buffer, SIZE_MAX, now_ms);
    return buffer.room(0).size();
}

} // namespace

TEST_CASE("a shared chunk's capacity grows fourfold with each read that fills it, up to an eighth "
          "of max_queued_bytes")
{
    SharedCapacity capacity(64 * kKiB);
    for (size_t bytes : {512u, 2048u, 8192u, 8192u}) {
        CHECK(capacity.bytes() == bytes);
        CHECK(capacity.adapt(bytes, true, kStart));
    }
}

TEST_CASE("a shared chunk's capacity does not grow with a read that leaves room, or has only the "
          "rest of a chunk")
{
    SharedCapacity capacity(kManyBytes);
    CHECK(capacity.adapt(511, false, kStart));
    CHECK(capacity.adapt(255, true, kStart));
    CHECK(capacity.bytes() == 512);
    CHECK(capacity.adapt(256, true, kStart));
    CHECK(capacity.bytes() == 2048);
}

TEST_CASE("a read of an eighth of the capacity is large, and a second without one is calm")
{
    SharedCapacity capacity(kManyBytes);
    CHECK(capacity.adapt(512, true, kStart)); // to 2048
    CHECK(capacity.adapt(256, false, kStart + 1500));
    CHECK(capacity.adapt(255, false, kStart + 2499));
    CHECK_FALSE(capacity.adapt(255, false, kStart + 2500));
    CHECK(capacity.bytes() == 2048); // until its owner has given up what it holds
    capacity.reset();
    CHECK(capacity.bytes() == 512);
}

TEST_CASE("a receive buffer grows while reads fill it")
{
    ReceiveBuffer buffer(kManyBytes);
    CHECK(buffer.room(0).size() == 512);
    CHECK_FALSE(buffer.is_large());
    CHECK(room_after_a_burst(buffer, kStart) == 256 * kKiB);
    CHECK(buffer.is_large());
}

TEST_CASE("a receive buffer is at most an eighth of max_queued_bytes")
{
    for (size_t limit : {64 * kKiB, 1024 * kKiB}) {
        ReceiveBuffer buffer(limit);
        CHECK(room_after_a_burst(buffer, kStart) == limit / 8);
    }
    ReceiveBuffer least(1);
    CHECK(room_after_a_burst(least, kStart) == 512);
}

TEST_CASE("a receive buffer does not grow because the rest of a chunk was small")
{
    ReceiveBuffer buffer(kManyBytes);
    Ref<Chunk> held; // without it, each read would have a whole chunk again
    for (int i = 0; i < 1000; i++) {
        CHECK(buffer.room(0).size() <= 512);
        held = buffer.chunk();
        buffer.received(std::min<size_t>(200, buffer.room(0).size()), kStart);
        buffer.consume(buffer.unread().size());
    }
}

TEST_CASE("what is as long as what came last gets room in one piece, though the last is in use")
{
    ReceiveBuffer buffer(1024 * kKiB);
    room_after_a_burst(buffer, kStart);
    std::vector<Ref<Chunk>> held;
    for (const size_t len : {65'550u, 65'550u, 65'550u, 20'000u, 20'000u, 800u, 800u}) {
        CHECK(buffer.room(0).size() >= len);
        buffer.received(len, kStart);
        held.push_back(buffer.chunk());
        buffer.consume(len);
    }
    CHECK(held[5].get() == held[6].get()); // short ones share a chunk all the same
}

TEST_CASE("a frame that comes in two reads counts as one that is that long")
{
    ReceiveBuffer buffer(1024 * kKiB);
    room_after_a_burst(buffer, kStart);
    CHECK(buffer.room(0).size() == 128 * kKiB);
    buffer.received(28, kStart);
    CHECK(buffer.room(65'550).size() >= 65'522);
    buffer.received(65'522, kStart);
    const Ref<Chunk> held = buffer.chunk();
    buffer.consume(65'550);
    CHECK(buffer.room(0).size() == 128 * kKiB);
}

TEST_CASE("a large receive buffer is given back a second after the last large read, however "
          "many small ones come")
{
    ReceiveBuffer buffer(kManyBytes);
    room_after_a_burst(buffer, kStart);
    for (int64_t now_ms = kStart; now_ms < kStart + 1000; now_ms += 10)
        CHECK(read(buffer, 600, now_ms) > 200 * kKiB);
    read(buffer, 600, kStart + 1000);
    CHECK(buffer.room(0).size() == 512);
    CHECK_FALSE(buffer.is_large());
}

TEST_CASE("the size of the largest chunk given up is told once, a large frame's too")
{
    ReceiveBuffer buffer(kManyBytes);
    room_after_a_burst(buffer, kStart);
    CHECK(buffer.take_given_up() == 0);
    read(buffer, 10, kStart + 1000);
    CHECK(buffer.take_given_up() == 256 * kKiB);
    read(buffer, 10, kStart + 3000);
    CHECK(buffer.take_given_up() == 0);
    for (size_t left = 1024 * kKiB; left > 0;) { // a frame with a chunk of its own
        const size_t n = std::min(left, buffer.room(left).size());
        buffer.received(n, kStart + 3000);
        buffer.consume(n);
        left -= n;
    }
    read(buffer, 10, kStart + 4000);
    CHECK(buffer.take_given_up() > 0);
}

TEST_CASE("a large receive buffer stays while large reads come at least once a second")
{
    ReceiveBuffer buffer(kManyBytes);
    room_after_a_burst(buffer, kStart);
    for (int64_t now_ms = kStart; now_ms < kStart + 20000; now_ms += 500) {
        CHECK(read(buffer, now_ms % 1000 == 0 ? 100 * kKiB : 10, now_ms) == 256 * kKiB);
    }
}

TEST_CASE("a large receive buffer is given back between two halves of a small frame, too")
{
    ReceiveBuffer buffer(kManyBytes);
    room_after_a_burst(buffer, kStart);
    buffer.room(0)[0] = 'x';
    buffer.received(1, kStart + 2000);
    CHECK(buffer.room(20).size() == 511);
    CHECK(buffer.unread().size() == 1);
    CHECK(buffer.unread()[0] == 'x');
}
