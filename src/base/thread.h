// thread.h: POSIX threads. std::thread takes no stack size, and it throws when the system has no
// thread left, which we expect to happen. Locks are in lock.h.
#pragma once

#include <cstddef>
#include <pthread.h>
#include <signal.h>

namespace websock {

struct ThreadOptions {
    const char *name;               // shown by ps and gdb; at most 15 characters
    size_t stack_bytes = 0;         // 0: the system's default
    const sigset_t *mask = nullptr; // signals to block, read by the thread when it begins;
                                    // nullptr: all but those of its own faults
    bool batch = false;             // see use_batch_scheduling()
};

// A joinable thread. One that was started with start() is joined by whoever started it; one that
// was started with launch() is joined by whoever it has told that it is about to end.
class Thread
{
  public:
    Thread() = default;
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    // Runs entry(argument) in a new thread. 0, or an errno value (EAGAIN). The object must
    // live until join() has returned.
    int start(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By the thread that called start(), or by one that knows that start() has returned.
    void join() { pthread_join(id_, nullptr); }

    // As start(), but before launch() returns, the thread may have ended and been joined, and
    // this object may have been deleted. launch() does not touch it once the thread is there.
    int launch(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By a thread that the launched one has told, through a lock, that it is about to end.
    void join_launched() { pthread_join(self_, nullptr); }

  private:
    int create(const ThreadOptions &options, void (*entry)(void *), void *argument, pthread_t &id);
    static void *trampoline(void *self);

    pthread_t id_{};   // written by start(), when the thread is there
    pthread_t self_{}; // the same id, written by the new thread alone
    void (*entry_)(void *) = nullptr;
    void *argument_ = nullptr;
    const char *name_ = nullptr;
    const sigset_t *mask_ = nullptr;
    bool batch_ = false;
};

// Gives back the memory that the calling thread's stack once used and does not use now.
[[gnu::noinline]] void release_unused_stack();

// How much of a stack of so many bytes is left when a thread begins on it. That is less than all
// of it, since it holds the thread-local data of the C library and the program, too. 0, or an
// errno value: EINVAL if no thread can have so small a stack, EAGAIN.
int room_on_stack(size_t stack_bytes, size_t &room);

// Lets the calling thread finish its work before the threads that it wakes run. Does nothing if
// an administrator has chosen another policy than the usual one. Measured (closed-loop echo, one
// core): 23 us of CPU per message without, 17 with, since readers that are not preempted fill
// the run queue in bulk. It is a hint, so failures are not reported.
void use_batch_scheduling();

} // namespace websock
