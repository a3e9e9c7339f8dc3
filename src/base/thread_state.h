// thread_state.h: what a thread of this process is doing and has done. Whether there are enough
// threads is decided elsewhere.
#pragma once

#include <chrono>
#include <sys/types.h>
#include <time.h>

namespace websock {

// What a thread is known by.
struct ThreadId {
    pid_t number = 0; // 0: none
    clockid_t cpu_clock{};
};
ThreadId current_thread();

// What another thread of this process does. runs: it runs, or would if it had a processor.
// sleeps: it waits in a system call or for a lock. unknown: the system does not tell, since there
// is no /proc or no free descriptor.
enum class ThreadState { runs, sleeps, unknown };
ThreadState state_of(const ThreadId &thread);

// How much processor time a thread of this process has used; 0 if it has ended. Works without
// /proc and without a descriptor.
std::chrono::nanoseconds cpu_time_of(const ThreadId &thread);

// How often the calling thread has gone to sleep: for a lock, for a time, for input.
long sleeps_so_far();

} // namespace websock
