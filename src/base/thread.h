// thread.h: POSIX threads. std::thread cannot be given a stack size, and throws where a full
// system makes us expect a failure. Locks are in lock.h.
#pragma once

#include <cstddef>
#include <pthread.h>
#include <signal.h>

namespace websock {

struct ThreadOptions {
    const char *name;               // shown by ps and gdb; at most 15 characters
    size_t stack_bytes = 0;         // 0: the system's default
    const sigset_t *mask = nullptr; // signals to block, read by the thread when it begins;
                                    // nullptr: all but those it raises itself, by a fault
    bool batch = false;             // see use_batch_scheduling()
};

// A joinable thread. Whoever has started it with start() joins it, or, with launch(),
// whoever the thread itself has told that it is about to end.
class Thread
{
  public:
    Thread() = default;
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    // Runs entry(argument) in a new thread. 0, or an errno value (EAGAIN). The object must
    // live until join() has returned.
    int start(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By the thread that has called start(), or one that knows it to have returned.
    void join() { pthread_join(id_, nullptr); }

    // The same, but the thread may have ended, been joined, and have had this object deleted
    // before launch() returns: from then on nothing here is touched.
    int launch(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By a thread that the launched one has told, through a lock, that it is about to end.
    void join_launched() { pthread_join(self_, nullptr); }

  private:
    int create(const ThreadOptions &options, void (*entry)(void *), void *argument, pthread_t &id);
    static void *trampoline(void *self);

    pthread_t id_{};   // written by start(), once the thread is there
    pthread_t self_{}; // the same, written by the new thread alone
    void (*entry_)(void *) = nullptr;
    void *argument_ = nullptr;
    const char *name_ = nullptr;
    const sigset_t *mask_ = nullptr;
    bool batch_ = false;
};

// Gives the memory back that the calling thread's stack has used further down than now.
[[gnu::noinline]] void release_unused_stack();

// What of a stack of so many bytes is left when a thread on it begins: less than all, since
// the C library's and the program's thread-local data are in there. 0, or an errno value:
// EINVAL where no thread can have so small a stack, EAGAIN.
int room_on_stack(size_t stack_bytes, size_t &room);

// Lets the calling thread finish its work before the thread it has woken runs, unless an
// administrator has chosen another policy than the usual one. Measured (closed-loop echo, one
// core): 23 us of CPU per message without, 17 with, since readers that are not preempted fill
// the run queue in bulk. A hint: there is no failure worth telling.
void use_batch_scheduling();

} // namespace websock
