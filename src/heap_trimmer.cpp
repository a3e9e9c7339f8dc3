// heap_trimmer.cpp: see heap_trimmer.h.
#include "heap_trimmer.h"

#include <algorithm>
#include <malloc.h>

namespace websock {

namespace {

constexpr std::chrono::seconds kDelay{1}; // connections seldom go one by one
constexpr std::chrono::seconds kInterval{10};

} // namespace

void HeapTrimmer::trim_soon()
{
    dispatcher_.expire_at(*this, std::max(Clock::now() + kDelay, not_before_.load()));
}

void HeapTrimmer::run(Progress &) noexcept
{
    not_before_ = Clock::now() + kInterval;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

} // namespace websock
