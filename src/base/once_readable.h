// once_readable.h: a descriptor that becomes readable when something has come about, and stays so,
// for programs that wait in poll(2). It is made only when somebody asks for it.
#pragma once

#include "base/fd.h"
#include "base/lock.h"
#include "base/standard_streams.h"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace websock {

class OnceReadable
{
  public:
    // 0, or an errno value.
    int fd(int &fd) EXCLUDES(mutex_)
    {
        fd = get();
        if (fd >= 0)
            return 0;
        UniqueFd made = above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!made)
            return errno;
        bool is_set = false;
        {
            Lock lock(mutex_);
            if (!fd_) // another thread may have made one
                fd_ = std::move(made);
            fd = fd_.get();
            is_set = is_set_;
        }
        if (is_set)
            make_readable(fd);
        return 0;
    }

    // More than once does nothing more.
    void set() EXCLUDES(mutex_)
    {
        {
            Lock lock(mutex_);
            is_set_ = true;
        }
        if (const int fd = get(); fd >= 0)
            make_readable(fd);
    }

  private:
    int get() EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        return fd_.get();
    }
    static void make_readable(int fd)
    {
        const uint64_t one = 1;
        (void)!write(fd, &one, sizeof one); // fails only if it is readable
    }

    Mutex mutex_;
    UniqueFd fd_ GUARDED_BY(mutex_);
    bool is_set_ GUARDED_BY(mutex_) = false;
};

} // namespace websock
