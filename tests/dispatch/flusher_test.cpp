// flusher_test.cpp: the Flusher by itself, with real sockets.
#include "base/fd.h"
#include "dispatch/flusher.h"
#include "tests/support/server.h"

#include <array>
#include <atomic>
#include <doctest/doctest.h>
#include <sys/socket.h>

using websock::Flusher;
using websock::UniqueFd;

namespace {

constexpr int kOftenMs = 5;
constexpr int kNeverMs = 3'600'000;

struct Pair {
    UniqueFd ours, theirs;
    Pair()
    {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) ==
                0);
        ours.reset(fds[0]);
        theirs.reset(fds[1]);
    }
    void fill()
    {
        const std::array<char, 4096> bytes{};
        while (::send(ours.get(), bytes.data(), bytes.size(), 0) > 0) {
        }
    }
    void read_all()
    {
        std::array<char, 4096> bytes;
        while (::recv(theirs.get(), bytes.data(), bytes.size(), 0) > 0) {
        }
    }
};

// Has itself forgotten once it was flushed often enough.
struct Counted final : Flusher::Blocked {
    explicit Counted(Flusher &flusher, int enough = 1) : flusher_(flusher), enough_(enough) {}
    void flush() noexcept override
    {
        if (++flushed == enough_)
            flusher_.forget(*this);
    }
    void retain() noexcept override { ++references; }
    void release() noexcept override { --references; }
    std::atomic<int> flushed = 0;
    std::atomic<int> references = 0;

  private:
    Flusher &flusher_;
    const int enough_;
};

} // namespace

TEST_CASE("the flusher calls a writer whose descriptor is writable, and no other")
{
    Flusher flusher;
    REQUIRE(flusher.start(kNeverMs) == 0);
    Pair full, other;
    full.fill();
    other.fill();
    Counted waits(flusher), calm(flusher);
    REQUIRE(flusher.watch(waits, full.ours.get(), true) == 0);
    REQUIRE(flusher.watch(calm, other.ours.get(), true) == 0);
    CHECK(waits.references == 1);
    full.read_all();
    CHECK(test::eventually([&] { return waits.flushed == 1 && waits.references == 0; }));
    CHECK(calm.flushed == 0);
    flusher.forget(calm);
    CHECK(calm.references == 0);
    flusher.stop();
}

TEST_CASE("the flusher calls every writer at each interval, writable or not")
{
    Flusher flusher;
    REQUIRE(flusher.start(kOftenMs) == 0);
    Pair full, writable;
    full.fill();
    Counted waits(flusher, 3), stalled(flusher, 3);
    REQUIRE(flusher.watch(waits, full.ours.get(), true) == 0);
    REQUIRE(flusher.watch(stalled, writable.ours.get(), false) == 0);
    CHECK(test::eventually([&] { return waits.flushed == 3 && stalled.flushed == 3; }));
    CHECK(test::eventually([&] { return waits.references == 0 && stalled.references == 0; }));
    flusher.stop();
}

TEST_CASE("a writer can be watched for its interval first, and for writability later")
{
    Flusher flusher;
    REQUIRE(flusher.start(kNeverMs) == 0);
    Pair writable;
    Counted blocked(flusher);
    REQUIRE(flusher.watch(blocked, writable.ours.get(), false) == 0);
    REQUIRE(flusher.watch(blocked, writable.ours.get(), true) == 0);
    CHECK(test::eventually([&] { return blocked.flushed == 1 && blocked.references == 0; }));
    flusher.stop();
}

TEST_CASE("a writer is called when its peer has gone")
{
    Flusher flusher;
    REQUIRE(flusher.start(kNeverMs) == 0);
    Pair full;
    full.fill();
    Counted blocked(flusher);
    REQUIRE(flusher.watch(blocked, full.ours.get(), true) == 0);
    full.theirs.reset();
    CHECK(test::eventually([&] { return blocked.flushed == 1 && blocked.references == 0; }));
    flusher.stop();
}

TEST_CASE("watching a bad descriptor fails and holds no reference")
{
    Flusher flusher;
    REQUIRE(flusher.start(kNeverMs) == 0);
    Counted blocked(flusher);
    CHECK(flusher.watch(blocked, 1 << 20, true) == EBADF);
    CHECK(blocked.references == 0);
    flusher.stop();
}
