// line_limiter.h: which lines of the log leave as they are, and which are only counted, so
// that a flood of clients is no flood of lines. No clock, no lock and no text here: those are
// the Log's.
#pragma once

#include "base/clock.h"

#include <array>
#include <cstddef>
#include <optional>

namespace websock {

class LineLimiter
{
  public:
    static constexpr size_t kPerSecond = 20; // lines of a kind that leave as they are

    // Whether a line of this kind may leave. False: it was counted. what: the kind, in the
    // words for many of them, a literal.
    bool admit(const char *what, int level, TimePoint now);

    struct Sum {
        const char *what = "";
        int level = 0; // of the lines counted, the most urgent
        size_t count = 0;
    };
    // Takes one of the sums whose second is over by now, until there is none.
    std::optional<Sum> take(TimePoint now);
    // When the next of them will be; kNever: nothing was counted.
    TimePoint due() const;

  private:
    struct Kind {
        Sum sum;
        TimePoint since{}; // its second began
        size_t admitted = 0;
    };
    static constexpr size_t kMostKinds = 8; // lines of further ones are admitted

    Kind *find(const char *what);

    std::array<Kind, kMostKinds> kinds_{};
    size_t count_ = 0;
};

} // namespace websock
