// subscriber.cpp: see subscriber.h.
#include "topics/subscriber.h"

#include "connection/connection.h"
#include "topics/topics.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr size_t kInTurn = 16;            // messages of one topic, while others have some, too
constexpr size_t kMostBytes = 64 * 1024;  // of messages that are written together
constexpr uint16_t kTryAgainLater = 1013; // close code

} // namespace

Subscriber *Subscriber::of(Connection &client)
{
    return static_cast<Subscriber *>(client.outbox().source());
}

int Subscriber::subscribe(std::string_view topic, const Wish &wish)
{
    Ref<Topic> held; // until the subscription itself does
    TimePoint deadline{};
    if (const int error = hold(topic, held, deadline); error != 0)
        return error;
    int error = enter_when_complete(topic, wish, held, deadline);
    // The message that it comes after may be on its way to this server.
    if (error == ENOENT && held && topics_.catch_up(*held))
        error = enter_when_complete(topic, wish, held, deadline);
    if (held)
        let_go(held);
    if (error == 0)
        client_.outbox().deliver();
    return error;
}

int Subscriber::enter_when_complete(std::string_view name, const Wish &wish, const Ref<Topic> &held,
                                    TimePoint deadline)
{
    const bool is_complete = !held || held->wait_until_complete(deadline);
    Lock lock(mutex_);
    return is_complete || !may_subscribe() ? enter(name, wish) : EAGAIN;
}

bool Subscriber::may_subscribe() const
{
    return !ended_ && client_.outbox().state() == Outbox::State::open;
}

// Throws std::bad_alloc with nothing held.
int Subscriber::hold(std::string_view name, Ref<Topic> &topic, TimePoint &deadline)
{
    Lock lock(mutex_);
    if (!may_subscribe())
        return ENOTCONN;
    held_.reserve(held_.size() + 1);
    const int error = topics_.enter_incomplete(name, topic, deadline);
    if (error == 0 && topic)
        held_.push_back(topic);
    return error;
}

// Unless the end of the connection has.
void Subscriber::let_go(const Ref<Topic> &held)
{
    Lock lock(mutex_);
    const auto same = [&](const Ref<Topic> &other) { return other.get() == held.get(); };
    const auto found = std::find_if(held_.begin(), held_.end(), same);
    if (found == held_.end())
        return;
    held_.erase(found);
    topics_.leave(*held);
}

int Subscriber::enter(std::string_view name, const Wish &wish)
try {
    if (!may_subscribe())
        return ENOTCONN;
    if (subscriptions_.contains(name))
        return EEXIST;
    Ref<Topic> topic;
    const Topics::Entry entry{.subscriptions = subscriptions_.size(),
                              .must_exist = wish.start.after_id != nullptr};
    if (const int error = topics_.enter(name, entry, topic); error != 0)
        return error;
    return begin_or_leave(topic, wish);
} catch (const std::bad_alloc &) {
    return ENOMEM;
}

int Subscriber::begin_or_leave(const Ref<Topic> &topic, const Wish &wish)
{
    int error = ENOMEM;
    try {
        error = begin(topic, wish);
    } catch (const std::bad_alloc &) {
        // as if it had not begun
    }
    if (error != 0)
        topics_.leave(*topic);
    return error;
}

// Throws std::bad_alloc.
int Subscriber::begin(const Ref<Topic> &topic, const Wish &wish)
{
    const auto made =
        Ref<Subscription>::adopt(new Subscription(client_, *this, topic, wish.no_echo));
    const auto place = subscriptions_.emplace(topic->name(), made).first;
    int error = ENOMEM;
    try {
        error = topic->add(*made, wish.start);
    } catch (const std::bad_alloc &) {
        // as if it had not begun
    }
    if (error != 0) {
        subscriptions_.erase(place);
        return error;
    }
    made->ready = made->cursor < topic->end();
    if (made->ready)
        ready_.push_back(*made);
    return 0;
}

bool Subscriber::unsubscribe(std::string_view topic)
{
    Lock lock(mutex_);
    wait_until_written();
    const auto found = subscriptions_.find(topic);
    if (found == subscriptions_.end())
        return false;
    const Ref<Subscription> gone = found->second;
    subscriptions_.erase(found);
    take_out(*gone);
    return true;
}

void Subscriber::unsubscribe_all()
{
    Lock lock(mutex_);
    take_all_out();
}

void Subscriber::end() noexcept
{
    Lock lock(mutex_);
    take_all_out();
    for (const Ref<Topic> &held : held_)
        topics_.leave(*held);
    held_.clear();
    ended_ = true;
}

// Whoever writes waits for nobody.
void Subscriber::wait_until_written()
{
    ++waiters_;
    while (collecting_)
        written_.wait(mutex_);
    --waiters_;
}

void Subscriber::take_all_out()
{
    wait_until_written();
    while (!subscriptions_.empty()) {
        const Ref<Subscription> gone = subscriptions_.begin()->second;
        subscriptions_.erase(subscriptions_.begin());
        take_out(*gone);
    }
}

void Subscriber::take_out(Subscription &subscription)
{
    subscription.ended = true;
    if (subscription.ready)
        ready_.erase(subscription);
    subscription.ready = false;
    subscription.topic->remove(subscription);
    topics_.leave(*subscription.topic);
}

bool Subscriber::make_ready(Subscription &subscription)
{
    Lock lock(mutex_);
    if (subscription.ended)
        return false;
    if (!subscription.ready) {
        subscription.ready = true;
        ready_.push_back(subscription);
    }
    return true;
}

void Subscriber::collect(Items &out) noexcept
{
    Behind behind;
    bool tells = false;
    {
        Lock lock(mutex_);
        collecting_ = true;
        visited_ = 0;
        size_t bytes = 0;
        for (Subscription *at = ready_.front(); at && out.room() > 0 && bytes < kMostBytes;
             at = at->next) {
            ++visited_;
            const size_t most = ready_.size() == 1 ? out.room() : std::min(kInTurn, out.room());
            bytes += read(*at, most, out, behind);
        }
        tells = behind.missed > 0 && !behind.closes && !std::exchange(tells_, true);
    }
    if (behind.missed > 0)
        topics_.counts().missed += behind.missed;
    if (behind.closes) {
        topics_.note_closed_behind(client_, *behind.closes, behind.missed);
        (void)client_.close(kTryAgainLater, "too far behind");
        out.clear();
    }
    if (tells)
        client_.notify();
}

// What a subscription gets next, without the client's own, if that is its wish. Looks at so many
// messages at most. Returns their bytes.
size_t Subscriber::read(Subscription &subscription, size_t most, Items &out, Behind &behind)
{
    size_t bytes = 0;
    bool any = false;
    const auto take = [&](uint64_t offset, const Ref<Message> &message) {
        if (!subscription.no_echo || message->publisher() != client_.number()) {
            out.push_back({message, &subscription, offset});
            bytes += message->payload().size();
            any = true;
        } else if (!any) {
            subscription.cursor.store(offset + 1, std::memory_order_relaxed);
        }
        return --most > 0 && bytes < kMostBytes;
    };
    const Topic::Reading reading = subscription.topic->read(subscription.cursor, take);
    subscription.missed += reading.closes ? 0 : reading.missed;
    behind.missed += reading.missed;
    if (reading.missed > 0 && reading.closes)
        behind.closes = subscription.topic;
    return bytes;
}

bool Subscriber::took(std::span<const Item> items) noexcept
{
    topics_.counts().deliveries += items.size();
    Lock lock(mutex_);
    // Those that had some taken go behind the others, which are next, then. Items of one
    // subscription stand together.
    for (size_t i = 0; i < items.size(); ++i) {
        auto &served = *static_cast<Subscription *>(items[i].of);
        served.cursor.store(items[i].offset + 1, std::memory_order_relaxed);
        if (i + 1 < items.size() && items[i + 1].of == &served)
            continue;
        settle(served);
        --visited_;
        if (served.ready) {
            ready_.erase(served);
            ready_.push_back(served);
        }
    }
    for (Subscription *at = ready_.front(); visited_ > 0; --visited_)
        settle(*std::exchange(at, at->next));
    collecting_ = false;
    if (waiters_ > 0)
        written_.broadcast();
    return !ready_.empty();
}

// It leaves the list of those that may have messages if it has read all there is.
void Subscriber::settle(Subscription &subscription)
{
    subscription.ready = subscription.cursor < subscription.topic->end();
    if (!subscription.ready)
        ready_.erase(subscription);
}

// Only what has been missed up to now: a client that always misses more is to have its other
// events, too.
void Subscriber::tell()
{
    Lock lock(mutex_);
    tells_ = false; // what is missed from here on is another event's
    for (const auto &[name, one] : subscriptions_)
        one->to_tell += std::exchange(one->missed, 0);
    for (uint64_t missed = 0; const Ref<Subscription> one = take_missed(missed);) {
        lock.unlock();
        client_.call_onmissed(one->topic->name().c_str(), missed);
        lock.lock();
    }
}

// One of which there is something to tell, or none.
Ref<Subscription> Subscriber::take_missed(uint64_t &missed)
{
    for (const auto &[name, one] : subscriptions_) {
        missed = std::exchange(one->to_tell, 0);
        if (missed > 0)
            return one;
    }
    return {};
}

} // namespace websock
