// health.h: whether a server can be reached, since when not, and the log's lines about that: one
// when it goes, one when it is back.
#pragma once

#include "base/clock.h"
#include "base/lock.h"
#include "redis/log.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace websock::redis {

// What can be amiss, each on its own. refused: connected, but commands are refused for now.
enum class Trouble { commands_lost, messages_lost, refused };

class Health
{
  public:
    Health(Log &log, const std::string &name) : log_(log), name_(name) {}

    // Both connections count as lost at first, silently.
    void began(Trouble trouble, const std::string &why) EXCLUDES(mutex_);
    void ended(Trouble trouble) EXCLUDES(mutex_);

    // For how long it has been away; none: it is there.
    std::optional<int64_t> away_ms() EXCLUDES(mutex_);

  private:
    bool is_well() const REQUIRES(mutex_);

    Log &log_;
    const std::string &name_;

    Mutex mutex_;
    std::array<bool, 3> troubles_ GUARDED_BY(mutex_){true, true, false};
    TimePoint since_ GUARDED_BY(mutex_) = Clock::now();
    bool said_ GUARDED_BY(mutex_) = false; // that it is away
};

} // namespace websock::redis
