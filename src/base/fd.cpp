// fd.cpp: see fd.h.
#include "base/fd.h"

#include <poll.h>

namespace websock {

namespace {

int wait_for(int fd, short events, TimePoint deadline)
{
    for (;;) {
        pollfd entry{.fd = fd, .events = events, .revents = 0};
        const int ready = poll(&entry, 1, ms_until(deadline));
        if (ready > 0)
            return 0;
        if (ready == 0)
            return ETIMEDOUT;
        if (errno != EINTR)
            return errno;
    }
}

} // namespace

bool is_blocking(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

int set_blocking(int fd, bool blocking)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    const int wanted = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    if (wanted != flags && fcntl(fd, F_SETFL, wanted) != 0)
        return errno;
    return 0;
}

int set_close_on_exec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno; }

int wait_writable(int fd, TimePoint deadline) { return wait_for(fd, POLLOUT, deadline); }

int wait_readable(int fd, TimePoint deadline) { return wait_for(fd, POLLIN, deadline); }

bool wait_readable_or(int fd, int other, TimePoint deadline)
{
    for (;;) {
        pollfd entries[]{{.fd = fd, .events = POLLIN, .revents = 0},
                         {.fd = other, .events = POLLIN, .revents = 0}};
        const int ready = poll(entries, 2, ms_until(deadline));
        if (ready >= 0 || errno != EINTR)
            return entries[0].revents != 0;
    }
}

} // namespace websock
