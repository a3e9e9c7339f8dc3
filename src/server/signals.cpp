// signals.cpp: see signals.h.
#include "server/signals.h"

#include "base/lock.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

namespace websock {

namespace {

// More contexts may wait at a time, but only so many hear of a signal.
constexpr int kSlots = 64;
std::array<std::atomic<int>, kSlots> wake_fds; // fd + 1; 0 is free. Read by the handler
std::atomic<int> handling;                     // threads inside the handler
std::atomic<unsigned> received;                // signals, in all
std::atomic<pid_t> owner; // the process that waits; a forked child only has a copy of this
constexpr std::chrono::milliseconds kHandlingTakes{100}; // at most, unless a thread never leaves it

Mutex mutex;
int users GUARDED_BY(mutex) = 0;
constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};
std::array<bool, 2> installed GUARDED_BY(mutex){};

// In a forked child that has not called exec: it has our handler, but its parent has the
// server. The signal stays blocked until the handler returns.
void as_by_default(int number)
{
    struct sigaction by_default {
    };
    by_default.sa_handler = SIG_DFL;
    sigaction(number, &by_default, nullptr);
    raise(number);
}

// Async-signal-safe: lock-free atomics, getpid(2) and write(2).
void wake_all(int number)
{
    const int saved_errno = errno;
    if (owner != getpid()) {
        as_by_default(number);
        errno = saved_errno;
        return;
    }
    ++handling;
    ++received;
    for (const std::atomic<int> &entry : wake_fds) {
        const int fd = entry.load() - 1;
        const uint64_t one = 1;
        if (fd >= 0 && write(fd, &one, sizeof one) < 0)
            continue; // it is full, and so it is readable, which is all we want
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
        // If the parent was waiting when it forked, our handler is already set here.
        installed[i] = !(current.sa_flags & SA_SIGINFO) &&
                       (current.sa_handler == SIG_DFL || current.sa_handler == wake_all);
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
        // Unless the program has set another handler since.
        if (installed[i] && !(current.sa_flags & SA_SIGINFO) && current.sa_handler == wake_all)
            signal(kSignals[i], SIG_DFL);
    }
}

// In a forked child: forgets the parent's waits.
void own() REQUIRES(mutex)
{
    if (owner == getpid())
        return;
    for (std::atomic<int> &entry : wake_fds)
        entry = 0;
    handling = 0;
    users = 0;
    owner = getpid();
}

} // namespace

StopSignals::StopSignals(int wake_fd)
{
    Lock lock(mutex);
    own();
    before_ = received;
    for (int i = 0; i < kSlots && slot_ < 0; ++i) {
        int free_slot = 0;
        if (wake_fds[static_cast<size_t>(i)].compare_exchange_strong(free_slot, wake_fd + 1))
            slot_ = i;
    }
    if (users++ == 0)
        install();
}

unsigned StopSignals::count() const { return received - before_; }

StopSignals::~StopSignals()
{
    Lock lock(mutex);
    if (--users == 0)
        restore();
    if (slot_ >= 0)
        wake_fds[static_cast<size_t>(slot_)] = 0;
    // A thread in the handler may already have read the number. Once we return, the descriptor
    // is closed and another file may get its number. A thread that never comes back, because it
    // was cancelled there or jumped out, is not waited for.
    const TimePoint deadline = Clock::now() + kHandlingTakes;
    while (handling > 0 && Clock::now() < deadline)
        sched_yield();
}

} // namespace websock
