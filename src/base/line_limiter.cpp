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
    Kind *const kind = find_or_add(what);
    if (!kind)
        return true;
    // As long as its summary has not been taken, its second goes on.
    if (kind->summary.count == 0 && now - kind->second_began >= kSecond) {
        kind->second_began = now;
        kind->admitted = 0;
    }
    if (kind->admitted < kPerSecond) {
        ++kind->admitted;
        return true;
    }
    kind->summary.level = kind->summary.count == 0 ? level : std::min(kind->summary.level, level);
    ++kind->summary.count;
    return false;
}

std::optional<LineLimiter::Summary> LineLimiter::take(TimePoint now)
{
    for (Kind &kind : kinds_) {
        if (kind.summary.count == 0 || now - kind.second_began < kSecond)
            continue;
        kind.second_began = now;
        kind.admitted = 0;
        return std::exchange(kind.summary, Summary{.what = kind.summary.what});
    }
    return std::nullopt;
}

TimePoint LineLimiter::due() const
{
    TimePoint due = kNever;
    for (const Kind &kind : kinds_) {
        if (kind.summary.count != 0)
            due = std::min<TimePoint>(due, kind.second_began + kSecond);
    }
    return due;
}

LineLimiter::Kind *LineLimiter::find_or_add(const char *what)
{
    for (size_t i = 0; i < count_; ++i) {
        if (std::strcmp(kinds_[i].summary.what, what) == 0)
            return &kinds_[i];
    }
    if (count_ == kMostKinds)
        return nullptr;
    kinds_[count_].summary.what = what;
    return &kinds_[count_++];
}

} // namespace websock
