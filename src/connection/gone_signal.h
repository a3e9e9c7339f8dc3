// gone_signal.h: a descriptor that becomes readable when nothing more comes from a client, for
// programs that wait in poll(2) for something else. It is made only when somebody asks for it.
#pragma once

#include "base/fd.h"
#include "base/lock.h"
#include "base/standard_streams.h"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace websock {

class GoneSignal
{
  public:
    // 0, or an errno value.
    int fd(int &fd) EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        if (!fd_)
            fd_ = above_stdio(eventfd(is_gone_ ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
        fd = fd_.get();
        return fd_ ? 0 : errno;
    }

    // More than once does nothing more.
    void send() EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        is_gone_ = true;
        const uint64_t one = 1;
        if (fd_)
            (void)!write(fd_.get(), &one, sizeof one);
    }

  private:
    Mutex mutex_;
    UniqueFd fd_ GUARDED_BY(mutex_);
    bool is_gone_ GUARDED_BY(mutex_) = false;
};

} // namespace websock
