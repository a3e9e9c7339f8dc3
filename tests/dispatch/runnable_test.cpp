// runnable_test.cpp: the order in which runnables run and expire. What the threads make of it is
// in dispatcher_test.cpp.
#include "dispatch/runnable.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

using namespace websock;
using namespace std::literals;

namespace {

class Nothing final : public Runnable
{
  public:
    void run(Progress &, std::vector<uint8_t> &) noexcept override {}
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "nothing"; }
};

const TimePoint kStart{1h};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("runnables run in the order in which they came")
{
    Nothing a, b, c;
    RunQueue queue;
    CHECK(queue.pop() == nullptr);
    queue.push(a, 7);
    queue.push(b, 8);
    CHECK(queue.front_queued_at_look() == 7);
    CHECK(queue.pop() == &a);
    CHECK(queue.front() == &b);
    CHECK(queue.front_queued_at_look() == 8);
    queue.push(c, 9);
    CHECK(queue.pop() == &b);
    CHECK(queue.pop() == &c);
    CHECK(queue.empty());
    queue.push(b, 10); // again, after it was empty
    CHECK(queue.pop() == &b);
    CHECK(queue.pop() == nullptr);
}

TEST_CASE("a runnable that was posted several times lets the others go first after each run")
{
    Nothing a, b;
    RunQueue queue;
    for (int i = 0; i < 3; ++i)
        queue.push(a, 0);
    queue.push(b, 0);
    CHECK(queue.pop() == &a);
    CHECK(queue.pop() == &b);
    CHECK(queue.pop() == &a);
    CHECK(queue.pop() == &a);
    CHECK(queue.pop() == nullptr);
}

TEST_CASE("runnables expire soonest first, whatever the order in which they were added")
{
    std::array<Nothing, 4> runnables;
    std::array<int, 4> delays{0, 1, 2, 3};
    do {
        ExpiryList list;
        CHECK(list.front_expires_at() == kNever);
        for (const int delay : delays)
            CHECK(list.add(runnables[static_cast<size_t>(delay)], kStart + delay * 1s));
        for (int delay = 0; delay < 4; ++delay) {
            CHECK(list.front_expires_at() == kStart + delay * 1s);
            CHECK(list.front() == &runnables[static_cast<size_t>(delay)]);
            CHECK(list.remove(*list.front()));
        }
        CHECK(list.front() == nullptr);
    } while (std::next_permutation(delays.begin(), delays.end()));
}

TEST_CASE("a runnable expires when it was first told to, unless it is taken out")
{
    Nothing early, middle, late;
    ExpiryList list;
    CHECK(list.add(early, kStart));
    CHECK(list.add(middle, kStart + 1s));
    CHECK(list.add(late, kStart + 2s));
    CHECK_FALSE(list.add(late, kStart - 1s));
    CHECK(list.front() == &early);
    CHECK(list.remove(middle));
    CHECK_FALSE(list.remove(middle));
    CHECK(list.remove(early));
    CHECK(list.front() == &late);
    CHECK(list.front_expires_at() == kStart + 2s);
    CHECK(list.add(early, kStart + 3s)); // a new time, after it was taken out
    CHECK(list.remove(late));
    CHECK(list.front_expires_at() == kStart + 3s);
}

TEST_SUITE_END();
