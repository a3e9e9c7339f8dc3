// heap_trimmer.cpp: see heap_trimmer.h.
#include "dispatch/heap_trimmer.h"

#include <algorithm>
#include <malloc.h>

namespace websock {

namespace {

constexpr int kSoonMs = 1000;   // connections seldom go one by one
constexpr int kPauseMs = 10000; // for the program's other threads: an arena is locked meanwhile
constexpr size_t kMuch = 8 * 1024 * 1024;
constexpr int kLaterMs = 12000; // parked threads leave after 5 s, idle workers after 10

} // namespace

void HeapTrimmer::gave_up(size_t bytes)
{
    if (given_up_.fetch_add(bytes) + bytes < kMuch)
        return;
    given_up_ = 0;
    trim_soon();
}

void HeapTrimmer::trim_soon()
{
    once_more_ = true;
    dispatcher_.expire_at(*this, std::max(in_ms(kSoonMs), not_before_.load()));
}

// The workers may all be busy for longer than until the next time.
void HeapTrimmer::expired() noexcept
{
    if (!posted_.exchange(true))
        dispatcher_.post(*this);
}

void HeapTrimmer::run(Progress &, std::vector<uint8_t> &) noexcept
{
    posted_ = false;
    not_before_ = in_ms(kPauseMs);
    if (once_more_.exchange(false))
        dispatcher_.expire_at(*this, in_ms(kLaterMs));
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

} // namespace websock
