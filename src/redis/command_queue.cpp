// command_queue.cpp: see command_queue.h.
#include "redis/command_queue.h"

#include <cerrno>
#include <utility>

namespace websock::redis {

CommandQueue::~CommandQueue()
{
    const Lock lock(mutex_);
    for (const Publication &publication : publications_)
        unsent_.remove(publication.cost());
}

int CommandQueue::push(Publication publication)
{
    const size_t cost = publication.cost();
    const Lock lock(mutex_);
    if (closed_)
        return ESHUTDOWN;
    if (!unsent_.add(cost))
        return EAGAIN;
    try {
        publications_.push_back(std::move(publication));
    } catch (...) {
        unsent_.remove(cost);
        throw;
    }
    if (waits_)
        changed_.signal();
    return 0;
}

void CommandQueue::push(Fetch fetch)
{
    const Lock lock(mutex_);
    const auto [at, is_new] = by_topic_.try_emplace(fetch.topic);
    if (!is_new) {
        *at->second = std::move(fetch);
        return;
    }
    try {
        at->second = fetches_.insert(fetches_.end(), std::move(fetch));
    } catch (...) {
        by_topic_.erase(at);
        throw;
    }
    if (waits_)
        changed_.signal();
}

void CommandQueue::cancel(const std::string &topic)
{
    const Lock lock(mutex_);
    const auto at = by_topic_.find(topic);
    if (at == by_topic_.end())
        return;
    fetches_.erase(at->second);
    by_topic_.erase(at);
}

void CommandQueue::finished_fetch()
{
    const Lock lock(mutex_);
    --fetches_taken_;
    if (waits_)
        changed_.signal();
}

bool CommandQueue::has_work() const
{
    return !publications_.empty() || (!fetches_.empty() && fetches_taken_ < kMostFetches);
}

bool CommandQueue::wait()
{
    const Lock lock(mutex_);
    waits_ = true;
    while (!has_work() && !closed_)
        changed_.wait(mutex_);
    waits_ = false;
    return !closed_ || !publications_.empty();
}

bool CommandQueue::is_empty()
{
    const Lock lock(mutex_);
    return publications_.empty();
}

void CommandQueue::take(std::deque<Publication> &publications, std::vector<Fetch> &fetches)
{
    size_t bytes = 0;
    for (const Publication &publication : publications)
        bytes += publication.cost();
    const Lock lock(mutex_);
    while (!publications_.empty() && publications.size() < kMostInBatch &&
           (publications.empty() || bytes < kMostBytesInBatch)) {
        bytes += publications_.front().cost();
        publications.push_back(std::move(publications_.front()));
        publications_.pop_front();
    }
    while (!fetches_.empty() && fetches_taken_ < kMostFetches) {
        fetches.reserve(fetches.size() + 1);
        by_topic_.erase(fetches_.front().topic);
        fetches.push_back(std::move(fetches_.front()));
        fetches_.pop_front();
        ++fetches_taken_;
    }
}

void CommandQueue::close()
{
    const Lock lock(mutex_);
    closed_ = true;
    changed_.signal();
}

} // namespace websock::redis
