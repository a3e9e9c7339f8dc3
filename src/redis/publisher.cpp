// publisher.cpp: the thread: connecting, and one round trip after the other. What is in a round
// trip is in publisher_round.cpp.
#include "redis/publisher.h"

#include <algorithm>
#include <exception>
#include <poll.h>
#include <utility>

namespace websock::redis {

Publisher::Publisher(const Settings &settings, const Address &address, Unsent &unsent,
                     Counters &counters, Health &health, Log &log)
    : unsent_(unsent), counters_(counters), health_(health), log_(log), server_(address.text),
      queue_(unsent), calls_(settings), link_(settings, address)
{
}

Publisher::~Publisher()
{
    for (const Publication &publication : batch_)
        unsent_.remove(publication.cost());
}

int Publisher::start(uint64_t node, const StopSignal &stop, FetchReceiver &receiver)
{
    node_ = node;
    calls_.set_node(node);
    stop_ = &stop;
    receiver_ = &receiver;
    const ThreadOptions options{.name = "redis-publish"};
    const int error = thread_.start(options, entry, this);
    started_ = error == 0;
    return error;
}

void Publisher::join()
{
    if (std::exchange(started_, false))
        thread_.join();
}

void Publisher::entry(void *self) { static_cast<Publisher *>(self)->run(); }

void Publisher::run() noexcept
{
    while (!is_done()) {
        try {
            if (!link_.is_open() && !connect())
                rest();
            else if (!batch_.empty() || !fetches_.empty() || queue_.wait())
                round();
        } catch (const std::exception &) { // no memory: nothing was lost, and later there is some
            forget_settled();
            (void)link_.refuse("no memory");
            lose();
            rest();
        }
    }
    link_.close();
}

// Whether the thread ends: everything has left, or the time for that is over.
bool Publisher::is_done()
{
    if (!stop_->raised())
        return false;
    return Clock::now() >= stop_->deadline() || (batch_.empty() && queue_.is_empty());
}

bool Publisher::connect()
{
    int error = link_.open(*stop_);
    if (error == 0)
        error = calls_.load(link_, *stop_);
    if (error != 0) {
        health_.began(Trouble::commands_lost, link_.why());
        return false;
    }
    health_.ended(Trouble::commands_lost);
    return true;
}

void Publisher::lose()
{
    health_.began(Trouble::commands_lost, link_.why());
    link_.close();
}

// Waits for the time of the next attempt, or for a stop.
void Publisher::rest()
{
    const TimePoint until = std::min(backoff_.next(), stop_->deadline());
    pollfd stop{stop_->fd(), POLLIN, 0};
    while (Clock::now() < until) {
        // Once it is raised, its descriptor stays readable, and attempts go on until its deadline.
        const bool raised = stop_->raised();
        (void)::poll(&stop, raised ? 0 : 1, ms_until(until));
        if (!raised && stop_->raised())
            return;
    }
}

} // namespace websock::redis
