// thread.cpp: see thread.h.
#include "base/thread.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

namespace websock {

namespace {

// Sanitizers enlarge stacks, for data of their own.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kStacksAreEnlarged = true;
#elif defined(__has_feature)
constexpr bool kStacksAreEnlarged =
    __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
constexpr bool kStacksAreEnlarged = false;
#endif

struct Stack {
    std::byte *lowest = nullptr; // just above the guard page; nullptr: not known
    size_t bytes = 0;
};

// That of the calling thread.
Stack own_stack()
{
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return {};
    void *lowest = nullptr;
    size_t bytes = 0;
    const int error = pthread_attr_getstack(&attributes, &lowest, &bytes);
    pthread_attr_destroy(&attributes);
    return error == 0 ? Stack{static_cast<std::byte *>(lowest), bytes} : Stack{};
}

// A thread's own faults are not blocked: they would end the process without calling the
// program's handler.
sigset_t all_but_faults()
{
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
        sigdelset(&signals, fault);
    return signals;
}

} // namespace

void release_unused_stack()
{
    static const auto page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    // In a library loaded by dlopen(3), thread-local data of the usual model is allocated at
    // first use, and glibc ends the process if it cannot.
    [[gnu::tls_model("initial-exec")]] thread_local std::byte *const lowest = own_stack().lowest;
    if (!lowest)
        return;
    // What is called from here needs some of the stack, too.
    const auto *const here = static_cast<std::byte *>(__builtin_frame_address(0)) - 256;
    const size_t unused = static_cast<size_t>(here - lowest) / page_bytes * page_bytes;
    (void)madvise(lowest, unused, MADV_DONTNEED);
}

int Thread::start(const ThreadOptions &options, void (*entry)(void *), void *argument)
{
    pthread_t id{};
    const int error = create(options, entry, argument, id);
    if (error == 0)
        id_ = id;
    return error;
}

// The id is thrown away: some C libraries store it long after the thread has begun.
int Thread::launch(const ThreadOptions &options, void (*entry)(void *), void *argument)
{
    pthread_t id{};
    return create(options, entry, argument, id);
}

int Thread::create(const ThreadOptions &options, void (*entry)(void *), void *argument,
                   pthread_t &id)
{
    entry_ = entry;
    argument_ = argument;
    name_ = options.name;
    batch_ = options.batch;
    mask_ = options.mask;

    pthread_attr_t attributes;
    if (const int error = pthread_attr_init(&attributes); error != 0)
        return error;
    int error = 0;
    if (options.stack_bytes != 0)
        error = pthread_attr_setstacksize(&attributes, options.stack_bytes);
    if (error == 0) {
        // The new thread inherits this mask, so that no signal can reach it before it has set
        // its own.
        const sigset_t others = all_but_faults();
        sigset_t before;
        pthread_sigmask(SIG_SETMASK, &others, &before);
        error = pthread_create(&id, &attributes, trampoline, this);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

void *Thread::trampoline(void *self)
{
    Thread &thread = *static_cast<Thread *>(self);
    thread.self_ = pthread_self();
    pthread_setname_np(thread.self_, thread.name_);
    if (thread.mask_)
        pthread_sigmask(SIG_SETMASK, thread.mask_, nullptr);
    if (thread.batch_)
        use_batch_scheduling();
    thread.entry_(thread.argument_);
    return nullptr;
}

int room_on_stack(size_t stack_bytes, size_t &room)
{
    struct Found {
        size_t above; // in use, from the top of the stack down
        size_t below; // free
    } found{};
    const auto measure = [](void *into) {
        const Stack stack = own_stack();
        const auto *const here = static_cast<std::byte *>(__builtin_frame_address(0));
        if (stack.lowest)
            *static_cast<Found *>(into) = {
                .above = static_cast<size_t>(stack.lowest + stack.bytes - here),
                .below = static_cast<size_t>(here - stack.lowest)};
    };
    Thread thread;
    const int error =
        thread.start({.name = "ws-stack", .stack_bytes = stack_bytes}, measure, &found);
    if (error != 0)
        return error;
    thread.join();
    // The C library may have reused a larger stack that another thread has left.
    room = kStacksAreEnlarged ? found.below : stack_bytes - std::min(found.above, stack_bytes);
    return 0;
}

void use_batch_scheduling()
{
    const sched_param parameters{};
    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &parameters);
}

} // namespace websock
