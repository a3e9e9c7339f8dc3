// failing_allocator.cpp: see failing_allocator.h. These are the allocation functions of the whole
// test program. They do what they always do, but look at a flag first.
#include "failing_allocator.h"

#include "hostile.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace {

enum class Mode { idle, fails_once, fails_once_in_chosen, fails_from_then, watches };

std::atomic<Mode> mode{Mode::idle};
std::atomic<long> left{0}; // allocations until one fails; 0 or less: one has
std::atomic<size_t> most{0};
std::atomic<size_t> sum{0};
thread_local bool is_the_tests = false;
thread_local bool is_chosen = false;

void watch(size_t size)
{
    sum.fetch_add(size, std::memory_order_relaxed);
    size_t seen = most.load(std::memory_order_relaxed);
    while (size > seen && !most.compare_exchange_weak(seen, size, std::memory_order_relaxed)) {
    }
}

bool fails(size_t size)
{
    const Mode now = mode.load(std::memory_order_relaxed);
    if (now == Mode::idle || is_the_tests)
        return false;
    if (now == Mode::watches) {
        watch(size);
        return false;
    }
    if (now == Mode::fails_once_in_chosen && !is_chosen)
        return false;
    const long before = left.fetch_sub(1, std::memory_order_relaxed);
    if (before != 1 && (before > 0 || now != Mode::fails_from_then))
        return false;
    errno = ENOMEM;
    return true;
}

} // namespace

namespace test {

void choose_this_thread() { is_chosen = true; }

FailingAllocations::FailingAllocations(size_t nth, Failing which)
{
    is_the_tests = true;
    left = static_cast<long>(nth);
    mode = which == Failing::one             ? Mode::fails_once
           : which == Failing::one_of_chosen ? Mode::fails_once_in_chosen
                                             : Mode::fails_from_then;
}

FailingAllocations::~FailingAllocations()
{
    mode = Mode::idle;
    is_the_tests = false;
}

bool FailingAllocations::have_begun() const { return left <= 0; }

AllocationWatch::AllocationWatch()
{
    is_the_tests = true;
    most = sum = 0;
    mode = Mode::watches;
}

AllocationWatch::~AllocationWatch()
{
    mode = Mode::idle;
    is_the_tests = false;
}

size_t AllocationWatch::largest() const { return most; }

size_t AllocationWatch::total() const { return sum; }

} // namespace test

#if defined(__GLIBC__) && !defined(TEST_SANITIZED)

// glibc's own functions, under the names that stay when a program brings its own.
extern "C" {

void *__libc_malloc(size_t size) noexcept;
void *__libc_calloc(size_t count, size_t size) noexcept;
void *__libc_realloc(void *memory, size_t size) noexcept;

void *malloc(size_t size) noexcept { return fails(size) ? nullptr : __libc_malloc(size); }

void *calloc(size_t count, size_t size) noexcept
{
    return fails(count * size) ? nullptr : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) noexcept
{
    return fails(size) ? nullptr : __libc_realloc(memory, size);
}

} // extern "C"

#else

namespace {

void *allocate(size_t size) noexcept
{
    return fails(size) ? nullptr : std::malloc(size != 0 ? size : 1);
}

void *allocate_or_throw(size_t size)
{
    if (void *memory = allocate(size))
        return memory;
    throw std::bad_alloc();
}

} // namespace

void *operator new(size_t size) { return allocate_or_throw(size); }

void *operator new[](size_t size) { return allocate_or_throw(size); }

void *operator new(size_t size, const std::nothrow_t &) noexcept { return allocate(size); }

void *operator new[](size_t size, const std::nothrow_t &) noexcept { return allocate(size); }

void operator delete(void *memory) noexcept { std::free(memory); }

void operator delete[](void *memory) noexcept { std::free(memory); }

void operator delete(void *memory, size_t) noexcept { std::free(memory); }

void operator delete[](void *memory, size_t) noexcept { std::free(memory); }

void operator delete(void *memory, const std::nothrow_t &) noexcept { std::free(memory); }

void operator delete[](void *memory, const std::nothrow_t &) noexcept { std::free(memory); }

#endif
