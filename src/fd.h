// fd.h: UniqueFd, the owner of one file descriptor. Nothing else.
#pragma once

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

} // namespace websock
