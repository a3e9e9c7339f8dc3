// registry.cpp: see registry.h.
#include "connection/registry.h"

#include "connection/connection.h"

#include <algorithm>
#include <cerrno>

namespace websock {

namespace {

constexpr size_t kMany = 64;           // fewer hold nothing worth the while
constexpr size_t kMostMakingRoom = 64; // each of them still has its thread
constexpr std::chrono::seconds kTellAgain{1};

} // namespace

Registry::Traffic &Registry::Traffic::operator+=(const Traffic &other)
{
    messages_in += other.messages_in;
    messages_out += other.messages_out;
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    send_timeouts += other.send_timeouts;
    events_waiting += other.events_waiting;
    return *this;
}

int Registry::add(Connection &connection, const Limits &max)
{
    Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    if (max.connections != 0 && count_ >= max.connections)
        return EAGAIN;
    if (max.handshakes != 0 && with_peer_.size() + with_program_ >= max.handshakes && !make_room())
        return EAGAIN;
    connection.place_.connection = &connection;
    set_opening(connection.place_, Opening::peer);
    peak_ = std::max(peak_, ++count_);
    connection.retain();
    connection.next_ = first_;
    if (first_)
        first_->previous_ = &connection;
    first_ = &connection;
    return 0;
}

// So that a flood locks nobody out: an honest client advances within its round trips, and so
// is hardly ever the last. The end of who makes room is its own thread's work; not to have
// many of those threads, either, there is no room for more while they end.
bool Registry::make_room()
{
    Place *const place = with_peer_.front();
    if (!place || making_room_ >= kMostMakingRoom)
        return false;
    set_opening(*place, Opening::makes_room);
    ++untold_;
    place->connection->drop("made room for a newer connection");
    return true;
}

bool Registry::advance(Connection &connection, Opening to)
{
    Lock lock(mutex_);
    Place &place = connection.place_;
    if (place.opening == Opening::makes_room)
        return false;
    set_opening(place, to);
    return true;
}

bool Registry::makes_room(const Connection &connection)
{
    Lock lock(mutex_);
    return connection.place_.opening == Opening::makes_room;
}

void Registry::thread_ends(Connection &connection)
{
    Lock lock(mutex_);
    set_opening(connection.place_, Opening::over);
}

void Registry::set_opening(Place &place, Opening to)
{
    if (place.opening == Opening::peer)
        with_peer_.erase(place);
    with_program_ -= place.opening == Opening::program;
    making_room_ -= place.opening == Opening::makes_room;
    place.opening = to;
    if (to == Opening::peer)
        with_peer_.push_back(place);
    with_program_ += to == Opening::program;
    making_room_ += to == Opening::makes_room;
}

uint64_t Registry::made_room()
{
    Lock lock(mutex_);
    if (untold_ == 0 || Clock::now() < tell_at_)
        return 0;
    tell_at_ = Clock::now() + kTellAgain;
    return std::exchange(untold_, 0);
}

void Registry::remove(Connection &connection)
{
    const Traffic traffic = connection.traffic();
    {
        Lock lock(mutex_);
        set_opening(connection.place_, Opening::over);
        (connection.previous_ ? connection.previous_->next_ : first_) = connection.next_;
        if (connection.next_)
            connection.next_->previous_ = connection.previous_;
        connection.next_ = connection.previous_ = nullptr;
        figures_.traffic += traffic;
        if (--count_ == 0)
            empty_.broadcast();
        if (peak_ >= kMany && count_ <= peak_ / 2) {
            peak_ = count_;
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
    while (count_ > 0 && in_time)
        in_time = empty_.wait_until(mutex_, deadline);
    return count_ == 0;
}

std::vector<Ref<Connection>> Registry::snapshot()
{
    std::vector<Ref<Connection>> all;
    Lock lock(mutex_);
    all.reserve(count_);
    for (Connection *connection = first_; connection; connection = connection->next_)
        all.push_back(Ref<Connection>::share(connection));
    return all;
}

void Registry::for_each(const std::function<void(Connection &)> &f)
{
    Lock lock(mutex_);
    for (Connection *connection = first_; connection; connection = connection->next_)
        f(*connection);
}

Registry::Figures Registry::figures()
{
    Lock lock(mutex_);
    Figures figures = figures_;
    for (Connection *connection = first_; connection; connection = connection->next_)
        figures.traffic += connection->traffic();
    return figures;
}

} // namespace websock
