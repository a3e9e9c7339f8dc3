// subscriber.cpp: see subscriber.h.
#include "topics/subscriber.h"

#include "connection/connection.h"
#include "topics/topics.h"

#include <algorithm>
#include <array>
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
    {
        Lock lock(mutex_);
        if (ended_ || client_.outbox().state() != Outbox::State::open)
            return ENOTCONN;
        if (subscriptions_.contains(topic))
            return EEXIST;
        Ref<Topic> found;
        size_t at_most = 0;
        if (const int error = topics_.enter(topic, found, at_most); error != 0)
            return error;
        int error = ENOMEM;
        try {
            error = subscriptions_.size() < at_most ? begin(found, wish) : ENOBUFS;
        } catch (const std::bad_alloc &) {
            // as if it had not begun
        }
        if (error != 0) {
            topics_.leave(*found);
            return error;
        }
    }
    client_.outbox().deliver();
    return 0;
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
    while (collecting_) // whoever does waits for nobody
        written_.wait(mutex_);
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
    ended_ = true;
}

void Subscriber::take_all_out()
{
    while (collecting_)
        written_.wait(mutex_);
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

size_t Subscriber::collect(std::span<Outbox::Item> out) noexcept
{
    Behind behind;
    size_t count = 0;
    bool tells = false;
    {
        Lock lock(mutex_);
        collecting_ = true;
        visited_ = 0;
        size_t bytes = 0;
        for (Subscription *at = ready_.front(); at && count < out.size() && bytes < kMostBytes;
             at = at->next) {
            ++visited_;
            const size_t most = ready_.size() == 1 ? out.size() : kInTurn;
            const size_t found =
                read(*at, out.subspan(count, std::min(most, out.size() - count)), behind);
            for (const Outbox::Item &item : out.subspan(count, found))
                bytes += item.message->frame().size();
            count += found;
        }
        tells = behind.missed > 0 && !behind.closes && !std::exchange(tells_, true);
    }
    topics_.counts().missed += behind.missed;
    if (behind.closes) {
        ++topics_.counts().closed_behind;
        (void)client_.close(kTryAgainLater, "too far behind");
        count = 0;
    }
    if (tells)
        client_.notify();
    return count;
}

// What a subscription gets next, without the client's own, if that is its wish.
size_t Subscriber::read(Subscription &subscription, std::span<Outbox::Item> out, Behind &behind)
{
    std::array<TopicLog::Item, Outbox::kMostItems> found;
    const Topic::Reading reading =
        subscription.topic->read(subscription.cursor, std::span(found).first(out.size()));
    subscription.missed += reading.missed;
    behind.missed += reading.missed;
    behind.closes = behind.closes || (reading.missed > 0 && reading.closes);
    size_t count = 0;
    size_t bytes = 0;
    for (TopicLog::Item &item : std::span(found).first(reading.count)) {
        if (bytes >= kMostBytes)
            break;
        if (subscription.no_echo && item.message->publisher() == client_.number()) {
            if (count == 0)
                subscription.cursor = item.offset + 1;
            continue;
        }
        bytes += item.message->frame().size();
        out[count++] = {std::move(item.message), &subscription, item.offset};
    }
    return count;
}

bool Subscriber::took(std::span<const Outbox::Item> items) noexcept
{
    topics_.counts().deliveries += items.size();
    Lock lock(mutex_);
    // Those that had some taken go behind the others, which are next, then. Items of one
    // subscription stand together.
    for (size_t i = 0; i < items.size(); ++i) {
        auto &served = *static_cast<Subscription *>(items[i].of);
        served.cursor = items[i].offset + 1;
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
