// signals.cpp: see signals.h.
#include "signals.h"

#include "thread.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

namespace websock {

namespace {

// More contexts than this can wait at a time, but only these hear of a signal.
constexpr int kSlots = 64;
std::array<std::atomic<int>, kSlots> wake_fds;           // fd + 1; 0 is free. Read by the handler
std::atomic<int> handling;                               // threads that are in the handler
constexpr std::chrono::milliseconds kHandlingTakes{100}; // at most, unless one is thrown out of it

Mutex mutex;
int users GUARDED_BY(mutex) = 0;
constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};
std::array<bool, 2> installed GUARDED_BY(mutex){};

// Async-signal-safe: lock-free atomics and write(2).
void wake_all(int)
{
    const int saved_errno = errno;
    ++handling;
    for (const std::atomic<int> &entry : wake_fds) {
        const int fd = entry.load() - 1;
        const uint64_t one = 1;
        if (fd >= 0 && write(fd, &one, sizeof one) < 0)
            continue; // it is full, so it is readable: that will do
    }
    --handling;
    errno = saved_errno;
}

void install() REQUIRES(mutex)
{
    for (size_t i = 0; i < kSignals.size(); ++i) {
        struct sigaction current {
        };
        sigaction(kSignals[i], nullptr, &current);
        installed[i] = !(current.sa_flags & SA_SIGINFO) && current.sa_handler == SIG_DFL;
        if (!installed[i])
            continue;
        struct sigaction ours {
        };
        ours.sa_handler = wake_all;
        ours.sa_flags = SA_RESTART;
        sigaction(kSignals[i], &ours, nullptr);
    }
}

void restore() REQUIRES(mutex)
{
    for (size_t i = 0; i < kSignals.size(); ++i) {
        struct sigaction current {
        };
        sigaction(kSignals[i], nullptr, &current);
        // Only if nobody has set another one since.
        if (installed[i] && !(current.sa_flags & SA_SIGINFO) && current.sa_handler == wake_all)
            signal(kSignals[i], SIG_DFL);
    }
}

} // namespace

StopSignals::StopSignals(int wake_fd)
{
    Lock lock(mutex);
    for (int i = 0; i < kSlots && slot_ < 0; ++i) {
        int free_slot = 0;
        if (wake_fds[static_cast<size_t>(i)].compare_exchange_strong(free_slot, wake_fd + 1))
            slot_ = i;
    }
    if (users++ == 0)
        install();
}

StopSignals::~StopSignals()
{
    Lock lock(mutex);
    if (--users == 0)
        restore();
    if (slot_ >= 0)
        wake_fds[static_cast<size_t>(slot_)] = 0;
    // A thread in the handler may have read the number already, and after this the
    // descriptor is closed, and its number may soon be another file's. One that does not come
    // back (it was cancelled there, or has jumped out) is not waited for.
    const TimePoint deadline = Clock::now() + kHandlingTakes;
    while (handling > 0 && Clock::now() < deadline)
        sched_yield();
}

} // namespace websock
