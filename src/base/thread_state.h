// thread_state.h: what a thread of this process is doing, and what it has done: for whoever
// decides if there are threads enough.
#pragma once

#include <chrono>
#include <sys/types.h>
#include <time.h>

namespace websock {

// The calling thread, as these functions of the monitor's take it.
struct ThreadId {
    pid_t number = 0; // 0: none
    clockid_t cpu_clock{};
};
ThreadId current_thread();

// What another thread of this process does: it runs, or would if it had a processor; or it
// sleeps, in a system call or for a lock. unknown: the system does not tell, for want of
// /proc or of a descriptor.
enum class ThreadState { runs, sleeps, unknown };
ThreadState state_of(const ThreadId &thread);

// How long a thread of this process has computed; needs neither. 0 when it has ended.
std::chrono::nanoseconds cpu_time_of(const ThreadId &thread);

// How often the calling thread has gone to sleep: for a lock, for time, for input.
long sleeps_so_far();

} // namespace websock
