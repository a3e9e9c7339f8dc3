// line_limiter_test.cpp: which lines of a flood are written, and which are only counted.
#include "base/line_limiter.h"

#include <doctest/doctest.h>

#include <string>

using namespace websock;
using namespace std::literals;

namespace {

const TimePoint kStart{1h};
constexpr size_t kLimit = LineLimiter::kPerSecond;

// How many of count lines are admitted.
size_t admitted(LineLimiter &limiter, size_t count, TimePoint now, const char *what = "lines")
{
    size_t lines = 0;
    for (size_t i = 0; i < count; i++)
        lines += limiter.admit(what, 2, now);
    return lines;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a limited number of lines of a kind is admitted in a second, and the others are counted")
{
    LineLimiter limiter;
    CHECK(limiter.due() == kNever);
    CHECK(admitted(limiter, kLimit, kStart) == kLimit);
    CHECK(limiter.due() == kNever);
    CHECK(admitted(limiter, 412, kStart + 999ms) == 0);
    CHECK(limiter.due() == kStart + 1s);
    CHECK_FALSE(limiter.take(kStart + 999ms).has_value());
    const auto summary = limiter.take(kStart + 1s);
    REQUIRE(summary.has_value());
    CHECK(summary->what == "lines"s);
    CHECK(summary->count == 412);
    CHECK(summary->level == 2);
    CHECK_FALSE(limiter.take(kStart + 1h).has_value());
    CHECK(limiter.due() == kNever);
}

TEST_CASE("below the rate every line is admitted, for ever")
{
    LineLimiter limiter;
    for (int second = 0; second < 100; second++)
        CHECK(admitted(limiter, kLimit, kStart + second * 1s) == kLimit);
    CHECK(limiter.due() == kNever);
}

TEST_CASE("a new second begins when the summary is taken, and until then nothing is admitted")
{
    LineLimiter limiter;
    CHECK(admitted(limiter, kLimit + 1, kStart) == kLimit);
    CHECK(admitted(limiter, 5, kStart + 3s) == 0); // the summary is taken late
    CHECK(limiter.take(kStart + 3s)->count == 6);
    CHECK(admitted(limiter, kLimit + 2, kStart + 3s) == kLimit);
    CHECK(limiter.due() == kStart + 4s);
    CHECK(limiter.take(kStart + 4s)->count == 2);
}

TEST_CASE("each kind has its own limit and summary, at the most urgent of its levels")
{
    LineLimiter limiter;
    const std::string same = "late"; // the same kind at another address
    CHECK(admitted(limiter, kLimit + 3, kStart, "late") == kLimit);
    CHECK(admitted(limiter, 1, kStart, same.c_str()) == 0);
    CHECK(admitted(limiter, kLimit, kStart + 100ms, "bad") == kLimit);
    CHECK_FALSE(limiter.admit("bad", 2, kStart + 100ms));
    CHECK_FALSE(limiter.admit("bad", 1, kStart + 100ms));
    CHECK_FALSE(limiter.admit("bad", 2, kStart + 100ms));
    CHECK(limiter.due() == kStart + 1s);
    CHECK(limiter.take(kStart + 1s)->count == 4);
    CHECK(limiter.due() == kStart + 1100ms);
    const auto summary = limiter.take(kStart + 2s);
    CHECK(summary->what == "bad"s);
    CHECK(summary->count == 3);
    CHECK(summary->level == 1);
}

TEST_CASE("lines of more kinds than there is room for are all admitted")
{
    LineLimiter limiter;
    const char *const kinds[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (const char *kind : kinds)
        CHECK(admitted(limiter, 1, kStart, kind) == 1);
    CHECK(admitted(limiter, 10 * kLimit, kStart, "i") == 10 * kLimit);
}

TEST_SUITE_END();
