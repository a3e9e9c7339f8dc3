// stop_signal.cpp: see stop_signal.h.
#include "redis_connection/stop_signal.h"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>

namespace websock::redis {

namespace {

int open_eventfd(UniqueFd &fd)
{
    fd = above_stdio(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return fd ? 0 : errno;
}

// It fails only if the counter is full, and then the descriptor is readable already.
void add_one(const UniqueFd &fd)
{
    const uint64_t one = 1;
    if (fd)
        (void)!::write(fd.get(), &one, sizeof one);
}

} // namespace

int StopSignal::open() { return open_eventfd(fd_); }

void StopSignal::raise(TimePoint deadline)
{
    deadline_.store(deadline.time_since_epoch().count(), std::memory_order_release);
    add_one(fd_);
}

int Wakeup::open() { return open_eventfd(fd_); }

void Wakeup::wake() { add_one(fd_); }

void Wakeup::clear()
{
    uint64_t count = 0;
    (void)!::read(fd_.get(), &count, sizeof count);
}

} // namespace websock::redis
