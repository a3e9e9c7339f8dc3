// failing_allocator.h: makes chosen allocations of this process fail, as they do when memory is
// short, or watches how large they are; not both at a time. The thread that asks for it is the
// test's, and is left alone. No test cases.
//
// It catches malloc, calloc and realloc, and so everything, including OpenSSL and the C
// library's threads. A sanitizer needs those functions for itself: under one it catches operator
// new only.
#pragma once

#include <cstddef>

namespace test {

enum class Failing {
    one,           // the nth allocation from now
    one_of_chosen, // the nth of a thread that has called choose_this_thread()
    from_then      // the nth and all that follow
};

void choose_this_thread();

// While it lives, allocations of other threads fail.
class FailingAllocations
{
  public:
    FailingAllocations(size_t nth, Failing which);
    ~FailingAllocations();
    FailingAllocations(const FailingAllocations &) = delete;
    FailingAllocations &operator=(const FailingAllocations &) = delete;

    bool have_begun() const; // whether an allocation has failed
};

// While it lives, allocations of other threads are watched.
class AllocationWatch
{
  public:
    AllocationWatch();
    ~AllocationWatch();
    AllocationWatch(const AllocationWatch &) = delete;
    AllocationWatch &operator=(const AllocationWatch &) = delete;

    size_t largest() const; // bytes of the largest one
    size_t total() const;   // bytes of all of them, freed or not
};

} // namespace test
