// silence_test.cpp: silence.h and outgoing.h, by their numbers alone: who counts as alive
// while it says nothing, and who as stalled.
#include "transport/outgoing.h"
#include "transport/silence.h"

#include <doctest/doctest.h>

using websock::Outgoing;
using websock::Silence;
using websock::Stall;
using Verdict = websock::Silence::Verdict;

namespace {

constexpr size_t kWindow = 1000;

Outgoing taken(int64_t taken, int64_t written)
{
    return {.written = written, .taken = taken, .window = kWindow};
}

} // namespace

TEST_CASE("silence: a ping that is not answered in half of the time-out is the end")
{
    Silence silence;
    CHECK(silence.judge(taken(10, 10), false) == Verdict::ping);
    CHECK(silence.judge(taken(12, 12), false) == Verdict::dead); // its system has acknowledged it
}

TEST_CASE("silence: bytes begin it again")
{
    Silence silence;
    CHECK(silence.judge(taken(10, 10), false) == Verdict::ping);
    silence.broken();
    CHECK(silence.judge(taken(12, 12), false) == Verdict::ping);
    CHECK(silence.judge(taken(14, 14), false) == Verdict::dead);
}

TEST_CASE("silence: who takes what is before the ping is alive, and has its time behind that")
{
    Silence silence;
    CHECK(silence.judge(taken(10, 500), true) == Verdict::ping);
    CHECK(silence.judge(taken(300, 700), true) == Verdict::alive);
    CHECK(silence.judge(taken(600, 900), false) == Verdict::alive); // the ping is among the 900
    CHECK(silence.judge(taken(900, 900), false) == Verdict::alive);
    CHECK(silence.judge(taken(900, 900), false) == Verdict::dead);
}

TEST_CASE("silence: who takes nothing of what is before the ping is dead")
{
    Silence silence;
    CHECK(silence.judge(taken(10, 500), true) == Verdict::ping);
    CHECK(silence.judge(taken(10, 700), true) == Verdict::dead);
}

TEST_CASE("silence: what is sent behind the ping keeps nobody alive who only acknowledges it")
{
    Silence silence;
    CHECK(silence.judge(taken(10, 10), false) == Verdict::ping);
    CHECK(silence.judge(taken(90, 90), false) == Verdict::dead);
}

TEST_CASE("silence: who makes room by reading is alive, wherever the ping is")
{
    Silence silence;
    CHECK(silence.judge({.written = 10, .taken = 10, .window = 100}, false) == Verdict::ping);
    CHECK(silence.judge({.written = 12, .taken = 12, .window = 500}, false) == Verdict::alive);
    CHECK(silence.judge({.written = 12, .taken = 12, .window = 500}, false) == Verdict::dead);
}

TEST_CASE("a stall is over when nothing was taken for as long, and each byte begins it again")
{
    Stall stall;
    CHECK_FALSE(stall.is_over(taken(10, 500), 60'000));
    CHECK_FALSE(stall.is_over(taken(10, 500), 60'000));
    CHECK(stall.is_over(taken(10, 500), 0));
    stall.end();
    CHECK_FALSE(stall.is_over(taken(10, 500), 60'000));
    CHECK_FALSE(stall.is_over(taken(11, 500), 60'000));
}
