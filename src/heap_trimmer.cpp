// heap_trimmer.cpp: see heap_trimmer.h.
#include "heap_trimmer.h"

#include <malloc.h>

namespace websock {

namespace {

constexpr int kSoonMs = 1000;   // connections seldom go one by one
constexpr int kLaterMs = 12000; // parked threads leave after 5 s, idle workers after 10

} // namespace

void HeapTrimmer::trim_soon()
{
    once_more_ = true;
    dispatcher_.expire_at(*this, in_ms(kSoonMs));
}

void HeapTrimmer::run(Progress &) noexcept
{
    if (once_more_.exchange(false))
        dispatcher_.expire_at(*this, in_ms(kLaterMs));
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

} // namespace websock
