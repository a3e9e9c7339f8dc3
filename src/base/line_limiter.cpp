// line_limiter.cpp: see line_limiter.h.
#include "base/line_limiter.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::seconds kSecond{1};

} // namespace

bool LineLimiter::admit(const char *what, int level, TimePoint now)
{
    Kind *const kind = find(what);
    if (!kind)
        return true;
    // While a sum waits to be taken, its second goes on.
    if (kind->sum.count == 0 && now - kind->since >= kSecond) {
        kind->since = now;
        kind->admitted = 0;
    }
    if (kind->admitted < kPerSecond) {
        ++kind->admitted;
        return true;
    }
    kind->sum.level = kind->sum.count == 0 ? level : std::min(kind->sum.level, level);
    ++kind->sum.count;
    return false;
}

std::optional<LineLimiter::Sum> LineLimiter::take(TimePoint now)
{
    for (Kind &kind : kinds_) {
        if (kind.sum.count == 0 || now - kind.since < kSecond)
            continue;
        kind.since = now;
        kind.admitted = 0;
        return std::exchange(kind.sum, Sum{.what = kind.sum.what});
    }
    return std::nullopt;
}

TimePoint LineLimiter::due() const
{
    TimePoint due = kNever;
    for (const Kind &kind : kinds_) {
        if (kind.sum.count != 0)
            due = std::min<TimePoint>(due, kind.since + kSecond);
    }
    return due;
}

LineLimiter::Kind *LineLimiter::find(const char *what)
{
    for (size_t i = 0; i < count_; ++i) {
        if (std::strcmp(kinds_[i].sum.what, what) == 0)
            return &kinds_[i];
    }
    if (count_ == kMostKinds)
        return nullptr;
    kinds_[count_].sum.what = what;
    return &kinds_[count_++];
}

} // namespace websock
