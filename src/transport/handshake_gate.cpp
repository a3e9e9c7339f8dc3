// handshake_gate.cpp: see handshake_gate.h.
#include "transport/handshake_gate.h"

#include <utility>

namespace websock {

namespace {

constexpr std::chrono::seconds kLull{1}; // a crowd that comes back sooner counts as the same one

} // namespace

bool HandshakeGate::enter(Visitor &visitor, Step step, TimePoint deadline)
{
    Lock lock(mutex_);
    if (visitor.turned_away_)
        return false;
    if (free_ > 0) { // which means that nobody waits
        --free_;
        return true;
    }
    LinkedList<Visitor> &queue = step == Step::answered ? answered_ : beginning_;
    queue.push_back(visitor);
    bool in_time = true;
    while (!visitor.has_place_ && !visitor.turned_away_ && in_time)
        in_time = visitor.called_.wait_until(mutex_, deadline);
    const bool has_place = std::exchange(visitor.has_place_, false);
    if (!has_place)
        erase(queue, visitor);
    else if (visitor.turned_away_)
        pass_place();
    return has_place && !visitor.turned_away_;
}

void HandshakeGate::leave()
{
    Lock lock(mutex_);
    pass_place();
}

// Gives a place directly to whoever is next, so that a newcomer cannot take it first.
void HandshakeGate::pass_place()
{
    LinkedList<Visitor> &queue = next_queue();
    Visitor *const visitor = queue.front();
    if (!visitor) {
        ++free_;
        return;
    }
    erase(queue, *visitor);
    visitor->has_place_ = true;
    visitor->called_.signal();
}

// The queues take turns. So those that were answered, and have done some work themselves, need not
// wait behind a flood of beginnings; nor can they keep others from beginning, however often they
// come.
LinkedList<HandshakeGate::Visitor> &HandshakeGate::next_queue()
{
    const bool answered = std::exchange(answered_is_next_, !answered_is_next_);
    if (beginning_.empty() || (answered && !answered_.empty()))
        return answered_;
    return beginning_;
}

void HandshakeGate::turn_away(Visitor &visitor)
{
    Lock lock(mutex_);
    visitor.turned_away_ = true;
    visitor.called_.signal();
}

void HandshakeGate::erase(LinkedList<Visitor> &queue, Visitor &visitor)
{
    queue.erase(visitor);
    if (!is_crowded())
        not_crowded_.signal();
}

bool HandshakeGate::let_in()
{
    Lock lock(mutex_);
    if (!is_crowded())
        return true;
    if (Clock::now() - crowded_at_ > kLull)
        crowded_since_ = Clock::now();
    const TimePoint deadline = crowded_since_ + patience_;
    bool in_time = true;
    while (is_crowded() && !stopping_ && in_time)
        in_time = not_crowded_.wait_until(mutex_, deadline);
    crowded_at_ = Clock::now();
    return !is_crowded();
}

void HandshakeGate::stop_holding_back()
{
    Lock lock(mutex_);
    stopping_ = true;
    not_crowded_.broadcast();
}

size_t HandshakeGate::waiting()
{
    Lock lock(mutex_);
    return beginning_.size() + answered_.size();
}

} // namespace websock
