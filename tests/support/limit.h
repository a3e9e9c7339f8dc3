// limit.h: changes resource limits of this process for a while. No test cases.
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace test {

// Sets a limit of this process, and puts the old one back when it is destroyed.
class Limit
{
  public:
    Limit(__rlimit_resource resource, rlim_t value) : resource_(resource)
    {
        REQUIRE(::getrlimit(resource, &before_) == 0);
        const rlimit now{value, before_.rlim_max};
        REQUIRE(::setrlimit(resource, &now) == 0);
    }
    ~Limit() { ::setrlimit(resource_, &before_); }
    Limit(const Limit &) = delete;
    Limit &operator=(const Limit &) = delete;

  private:
    const __rlimit_resource resource_;
    rlimit before_{};
};

// With this as the limit of RLIMIT_NOFILE, no descriptor is left.
inline rlim_t lowest_free_descriptor()
{
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd != -1);
    ::close(fd);
    return static_cast<rlim_t>(fd);
}

} // namespace test
