// registry.cpp: see registry.h.
#include "registry.h"

#include "connection.h"

#include <algorithm>
#include <cerrno>

namespace websock {

namespace {

constexpr size_t kMany = 64; // fewer hold nothing worth the while

} // namespace

Registry::Traffic &Registry::Traffic::operator+=(const Traffic &other)
{
    messages_in += other.messages_in;
    messages_out += other.messages_out;
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    send_timeouts += other.send_timeouts;
    return *this;
}

int Registry::add(Connection &connection, size_t max)
{
    Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    if (max != 0 && count_ >= max)
        return EAGAIN;
    peak_ = std::max(peak_, ++count_);
    connection.retain();
    connection.next_ = first_;
    if (first_)
        first_->previous_ = &connection;
    first_ = &connection;
    return 0;
}

void Registry::remove(Connection &connection)
{
    const Traffic traffic = connection.traffic();
    {
        Lock lock(mutex_);
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
