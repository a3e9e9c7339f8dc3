// heap_trimmer.cpp: see heap_trimmer.h.
#include "dispatch/heap_trimmer.h"

#include <algorithm>
#include <malloc.h>

namespace websock {

namespace {

constexpr int kSoonMs = 1000;   // connections seldom go one at a time
constexpr int kPauseMs = 10000; // trimming locks an arena, and other threads wait for it
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
    trim_once_more_ = true;
    dispatcher_.expire_at(*this, std::max(in_ms(kSoonMs), not_before_.load()));
}

// All workers may be busy until after the next expiry: so it may have been posted already.
void HeapTrimmer::expired() noexcept
{
    if (!posted_.exchange(true))
        dispatcher_.post(*this);
}

void HeapTrimmer::run(Progress &, std::vector<uint8_t> &) noexcept
{
    posted_ = false;
    not_before_ = in_ms(kPauseMs);
    if (trim_once_more_.exchange(false))
        dispatcher_.expire_at(*this, in_ms(kLaterMs));
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

} // namespace websock
