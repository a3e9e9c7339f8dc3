// receive_buffer_test.cpp: how large a connection's receive buffer is, by what has come and when.
// What all buffers of a connection may take is in hostile_memory_test.cpp.
#include "base/buffer.h"

#include <doctest/doctest.h>

using websock::Chunk;
using websock::ReceiveBuffer;
using websock::Ref;

namespace {

constexpr size_t kKiB = 1024;
constexpr size_t kManyBytes = 64 * kKiB * kKiB; // of max_queued_bytes: no limit to a buffer
constexpr int64_t kStart = 5000;

// A read of at most so many bytes, all of which are used. How many there was room for.
size_t read(ReceiveBuffer &buffer, size_t bytes, int64_t now_ms)
{
    const size_t room = buffer.room(0).size();
    const size_t n = std::min(bytes, room);
    buffer.received(n, now_ms);
    buffer.consume(n);
    return room;
}

// The room there is once reads have filled all they got.
size_t room_after_a_burst(ReceiveBuffer &buffer, int64_t now_ms)
{
    for (int i = 0; i < 20; i++)
        read(buffer, SIZE_MAX, now_ms);
    return buffer.room(0).size();
}

} // namespace

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
    Ref<Chunk> held; // or each read would begin with a whole chunk again
    for (int i = 0; i < 1000; i++) {
        CHECK(buffer.room(0).size() <= 512);
        held = buffer.chunk();
        buffer.received(std::min<size_t>(200, buffer.room(0).size()), kStart);
        buffer.consume(buffer.unread().size());
    }
}

TEST_CASE("a large receive buffer is given back a second after the last large read, whatever "
          "small ones come")
{
    ReceiveBuffer buffer(kManyBytes);
    room_after_a_burst(buffer, kStart);
    for (int64_t now_ms = kStart; now_ms < kStart + 1000; now_ms += 10)
        CHECK(read(buffer, 600, now_ms) > 200 * kKiB);
    read(buffer, 600, kStart + 1000);
    CHECK(buffer.room(0).size() == 512);
    CHECK_FALSE(buffer.is_large());
}

TEST_CASE("the largest chunk that was given up is told once, that of a large frame too")
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
