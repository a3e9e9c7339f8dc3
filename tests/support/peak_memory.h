// peak_memory.h: the most memory that a test's process has had for a while.
#pragma once

#include "tests/support/hostile.h"

#include <cstddef>
#include <fstream>
#include <string>

namespace test {

// The most memory that this process has had since this was made, in bytes. 0 where a sanitizer
// keeps what was freed.
class Peak
{
  public:
    Peak()
    {
        std::ofstream("/proc/self/clear_refs") << 5; // from here on
        before_ = read();
    }
    size_t grown_by() const
    {
        const size_t now = read();
        // The kernel may have seen less by now: it notes a peak late where many threads free
        // memory.
        return kSanitized || now < before_ ? 0 : now - before_;
    }

  private:
    static size_t read()
    {
        std::ifstream status("/proc/self/status");
        std::string word;
        size_t kib = 0;
        while (status >> word && word != "VmHWM:") {
        }
        status >> kib;
        return kib * 1024;
    }

    size_t before_ = 0;
};

} // namespace test
