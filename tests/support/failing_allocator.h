// failing_allocator.h: makes chosen allocations of this process fail, as they do when
// memory is short, and watches how large they are. One of both at a time. The thread
// that asks for it is the test's and stays out of it. No test cases.
//
// What is caught: malloc, calloc and realloc, and so everything, OpenSSL and the threads
// of the system too. Under a sanitizer, which needs those for itself, operator new only.
#pragma once

#include <cstddef>

namespace test {

enum class Failing {
    one,      // the nth allocation from now
    from_then // that one and all behind it
};

// While it lives, allocations of other threads fail.
class FailingAllocations
{
  public:
    FailingAllocations(size_t nth, Failing which);
    ~FailingAllocations();
    FailingAllocations(const FailingAllocations &) = delete;
    FailingAllocations &operator=(const FailingAllocations &) = delete;

    bool have_begun() const; // to fail
};

// While it lives, allocations of other threads are watched.
class AllocationWatch
{
  public:
    AllocationWatch();
    ~AllocationWatch();
    AllocationWatch(const AllocationWatch &) = delete;
    AllocationWatch &operator=(const AllocationWatch &) = delete;

    size_t largest() const; // bytes; in one piece
    size_t total() const;   // bytes; of all of them, freed or not
};

} // namespace test
