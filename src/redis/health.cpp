// health.cpp: see health.h. Lines are written without the lock, since onlog is the user's.
#include "redis/health.h"

#include <algorithm>
#include <utility>

namespace websock::redis {

namespace {

long long ms_since(TimePoint then)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - then).count();
}

} // namespace

bool Health::is_well() const
{
    return std::none_of(troubles_.begin(), troubles_.end(), [](bool trouble) { return trouble; });
}

void Health::began(Trouble trouble, const std::string &why)
{
    {
        const Lock lock(mutex_);
        if (is_well())
            since_ = Clock::now();
        troubles_[static_cast<size_t>(trouble)] = true;
        if (std::exchange(said_, true))
            return;
    }
    log_.write(LIBWEBSOCK_LOG_WARNING, "redis %s: %s: %s; publications wait until it is back",
               name_.c_str(),
               trouble == Trouble::refused ? "it refuses commands" : "connection lost",
               why.c_str());
}

void Health::ended(Trouble trouble)
{
    long long away = 0;
    {
        const Lock lock(mutex_);
        if (!std::exchange(troubles_[static_cast<size_t>(trouble)], false) || !is_well() ||
            !std::exchange(said_, false))
            return;
        away = ms_since(since_);
    }
    log_.write(LIBWEBSOCK_LOG_WARNING, "redis %s: back after %lld ms", name_.c_str(), away);
}

std::optional<int64_t> Health::away_ms()
{
    const Lock lock(mutex_);
    return is_well() ? std::nullopt : std::optional<int64_t>(ms_since(since_));
}

} // namespace websock::redis
