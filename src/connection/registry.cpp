// registry.cpp: see registry.h.
#include "connection/registry.h"

#include "connection/connection.h"

#include <algorithm>
#include <cerrno>

namespace websock {

namespace {

constexpr size_t kMany = 64;           // fewer hold too little memory to trim
constexpr size_t kMostMakingRoom = 64; // each of them still has its thread
constexpr std::chrono::seconds kTellAgain{1};

} // namespace

int Registry::add(Connection &connection, const Limits &max)
{
    Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    if (max.connections != 0 && all_.size() >= max.connections)
        return EAGAIN;
    if (max.handshakes != 0 && with_peer_.size() + with_program_ >= max.handshakes && !make_room())
        return EAGAIN;
    Entry &entry = connection.entry_;
    entry.in_all.connection = entry.in_with_peer.connection = &connection;
    set_opening(connection, Opening::peer);
    all_.push_back(entry.in_all);
    peak_ = std::max(peak_, all_.size());
    connection.retain();
    return 0;
}

// So a flood locks nobody out: an honest client advances with each round trip, and is hardly ever
// the one that has waited longest. Those that make room end on their own threads; so that these do
// not become too many, no room is made while kMostMakingRoom of them are left.
bool Registry::make_room()
{
    const Link *const longest = with_peer_.front();
    if (!longest || making_room_ >= kMostMakingRoom)
        return false;
    Connection &connection = *longest->connection;
    set_opening(connection, Opening::makes_room);
    ++untold_;
    connection.drop("made room for a newer connection");
    return true;
}

bool Registry::advance(Connection &connection, Opening to)
{
    Lock lock(mutex_);
    if (connection.entry_.opening == Opening::makes_room)
        return false;
    set_opening(connection, to);
    return true;
}

bool Registry::makes_room(const Connection &connection, uint64_t &untold)
{
    Lock lock(mutex_);
    if (connection.entry_.opening != Opening::makes_room)
        return false;
    untold = 0;
    if (untold_ != 0 && Clock::now() >= tell_at_) {
        tell_at_ = Clock::now() + kTellAgain;
        untold = std::exchange(untold_, 0);
    }
    return true;
}

void Registry::thread_ends(Connection &connection)
{
    Lock lock(mutex_);
    set_opening(connection, Opening::over);
}

void Registry::set_opening(Connection &connection, Opening to)
{
    Entry &entry = connection.entry_;
    if (entry.opening == Opening::peer)
        with_peer_.erase(entry.in_with_peer);
    with_program_ -= entry.opening == Opening::program;
    making_room_ -= entry.opening == Opening::makes_room;
    entry.opening = to;
    if (to == Opening::peer)
        with_peer_.push_back(entry.in_with_peer);
    with_program_ += to == Opening::program;
    making_room_ += to == Opening::makes_room;
}

void Registry::remove(Connection &connection)
{
    {
        Lock lock(mutex_);
        set_opening(connection, Opening::over);
        all_.erase(connection.entry_.in_all);
        connection.add_traffic_to(figures_.traffic);
        if (all_.empty())
            empty_.broadcast();
        if (peak_ >= kMany && all_.size() <= peak_ / 2) {
            peak_ = all_.size();
            many_gone_();
        }
    }
    connection.release();
}

void Registry::count_opened()
{
    Lock lock(mutex_);
    ++figures_.open;
}

void Registry::count_accepted()
{
    Lock lock(mutex_);
    ++figures_.accepted;
}

void Registry::count_closed(unsigned code)
{
    const size_t last = kCloseCodes - 1;
    Lock lock(mutex_);
    --figures_.open;
    ++figures_.closed[code >= 1000 && code - 1000 < last ? code - 1000 : last];
}

void Registry::count_refused(Refused why)
{
    Lock lock(mutex_);
    ++figures_.refused[static_cast<size_t>(why)];
}

void Registry::close()
{
    Lock lock(mutex_);
    closed_ = true;
}

bool Registry::wait_until_empty(TimePoint deadline)
{
    Lock lock(mutex_);
    bool in_time = true;
    while (!all_.empty() && in_time)
        in_time = empty_.wait_until(mutex_, deadline);
    return all_.empty();
}

std::vector<Ref<Connection>> Registry::snapshot()
{
    std::vector<Ref<Connection>> all;
    Lock lock(mutex_);
    all.reserve(all_.size());
    for (const Link *link = all_.front(); link; link = link->next)
        all.push_back(Ref<Connection>::share(link->connection));
    return all;
}

void Registry::for_each(const std::function<void(Connection &)> &f)
{
    Lock lock(mutex_);
    for (const Link *link = all_.front(); link; link = link->next)
        f(*link->connection);
}

Registry::Figures Registry::figures()
{
    Lock lock(mutex_);
    Figures figures = figures_;
    for (const Link *link = all_.front(); link; link = link->next)
        link->connection->add_traffic_to(figures.traffic);
    return figures;
}

} // namespace websock
