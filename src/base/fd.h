// fd.h: file descriptors of any kind: owning one, keeping its number above those of stdio, its
// flags, and waiting for it. Functions that return int return 0 or an errno value.
#pragma once

#include "base/clock.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace websock {

class UniqueFd
{
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd &&other) noexcept : fd_(other.release()) {}
    UniqueFd &operator=(UniqueFd &&other) noexcept
    {
        reset(other.release());
        return *this;
    }
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }

    void reset(int fd = -1)
    {
        if (fd_ >= 0)
            (void)::close(fd_); // nothing can be done about a failure, EINTR included
        fd_ = fd;
    }

  private:
    int fd_ = -1;
};

// Moves a descriptor that the library has just opened to a number above 0, 1 and 2. In a program
// that was started with those closed they are the lowest free numbers, and what the program
// prints would go into our socket. False, with errno set and fd as it was, if no number is
// free or fd is -1.
inline bool move_above_stdio(UniqueFd &fd)
{
    if (fd.get() > STDERR_FILENO)
        return true;
    if (!fd)
        return false;
    const int above = fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (above < 0)
        return false;
    fd.reset(above);
    return true;
}

// The same as one expression. Holds nothing, with errno set, if it fails.
inline UniqueFd above_stdio(int opened)
{
    UniqueFd fd(opened);
    if (move_above_stdio(fd))
        return fd;
    const int error = errno;
    fd.reset();
    errno = error;
    return fd;
}

bool is_blocking(int fd);
int set_blocking(int fd, bool blocking);
int set_close_on_exec(int fd);

// Wait until fd can be written to or read from, or has failed. 0, ETIMEDOUT, or the errno value
// of poll(2).
int wait_writable(int fd, TimePoint deadline);
int wait_readable(int fd, TimePoint deadline);
// Waits until one of both can be read from; other may be negative: none. Whether fd can, by then.
bool wait_readable_or(int fd, int other, TimePoint deadline);

} // namespace websock
