// line_limiter.h: which lines of the log are written and which are only counted, so that a flood
// of clients is no flood of lines. No clock, no lock and no text here: those are the Log's.
#pragma once

#include "base/clock.h"

#include <array>
#include <cstddef>
#include <optional>

namespace websock {

class LineLimiter
{
  public:
    static constexpr size_t kPerSecond = 20; // lines of a kind that are written

    // Whether a line of this kind is to be written. False: it was counted instead. what names
    // the kind in the plural, "clients that failed", and is a literal.
    bool admit(const char *what, int level, TimePoint now);

    struct Summary {
        const char *what = "";
        int level = 0; // the most urgent of the lines counted
        size_t count = 0;
    };
    // Takes one of the summaries whose second is over by now. None: there are no more of them.
    std::optional<Summary> take(TimePoint now);
    // When the next summary can be taken; kNever: no line was counted.
    TimePoint due() const;

  private:
    struct Kind {
        Summary summary;
        TimePoint second_began{};
        size_t admitted = 0;
    };
    static constexpr size_t kMostKinds = 8; // lines of any further kind are all written

    Kind *find_or_add(const char *what);

    std::array<Kind, kMostKinds> kinds_{};
    size_t count_ = 0; // of kinds_ in use
};

} // namespace websock
