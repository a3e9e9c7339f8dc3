// fd.h: file descriptors of any kind: who owns one, which numbers ours may have, its flags,
// and waiting for one. Functions return an errno value, 0 for success.
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

// For a descriptor that the library has just opened: the same file, above 0 to 2. In a
// program that was started with those closed they are the lowest free ones, and what the
// program prints would go into our socket. Keeps fd, and is false with errno set, if there
// is no other number, or fd is -1.
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

// The same, as one expression; -1 if it fails.
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

// Wait until fd can be written to or read from, or has failed. 0, ETIMEDOUT, or poll's error.
int wait_writable(int fd, TimePoint deadline);
int wait_readable(int fd, TimePoint deadline);

} // namespace websock
