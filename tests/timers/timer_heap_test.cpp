// timer_heap_test.cpp: the heap of timers against a sorted map that does the same.
#include "timers/timer_heap.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

using namespace websock;

namespace {

TimePoint at(size_t ms) { return TimePoint(std::chrono::milliseconds(ms)); }

} // namespace

TEST_CASE("the front of a heap of timers is always one that is due first")
{
    constexpr size_t kTimers = 500;
    std::mt19937 random(16);
    std::vector<TimerHeap::Timed> timers(kTimers);
    std::vector<bool> is_in(kTimers);
    std::multimap<TimePoint, size_t> expected;
    TimerHeap heap;
    heap.reserve(kTimers);
    for (int step = 0; step < 50'000; ++step) {
        const size_t i = random() % kTimers;
        if (is_in[i]) {
            heap.remove(timers[i]);
            for (auto each = expected.begin(); each != expected.end(); ++each) {
                if (each->second == i) {
                    expected.erase(each);
                    break;
                }
            }
        } else {
            const TimePoint due = at(random() % 1000); // many are due together
            heap.push(timers[i], due);
            expected.emplace(due, i);
        }
        is_in[i] = !is_in[i];
        if (expected.empty()) {
            REQUIRE(heap.front() == nullptr);
            REQUIRE(heap.front_due() == kNever);
            continue;
        }
        REQUIRE(heap.front_due() == expected.begin()->first);
        const auto front = static_cast<size_t>(heap.front() - timers.data());
        REQUIRE(is_in[front]);
    }
}

TEST_CASE("timers come out of a heap in their order")
{
    std::vector<TimerHeap::Timed> timers(100);
    TimerHeap heap;
    heap.reserve(timers.size());
    for (size_t i = 0; i < 100; ++i)
        heap.push(timers[i], at(i * 37 % 100));
    for (size_t i = 0; i < 100; ++i) {
        CHECK(heap.front_due() == at(i));
        heap.remove(*heap.front());
    }
    CHECK(heap.front() == nullptr);
}
