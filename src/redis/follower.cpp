// follower.cpp: the thread, what others tell it to do, and its connection. What the server sends is
// in follower_receive.cpp.
#include "redis/follower.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <poll.h>
#include <utility>

namespace websock::redis {

namespace {

constexpr int kTickMs = 250;

} // namespace

Follower::Follower(const Settings &settings, const Address &address, CommandQueue &commands,
                   Counters &counters, Health &health, Log &log)
    : settings_(settings), commands_(commands), counters_(counters), health_(health), log_(log),
      server_(address.text), channels_(channel_prefix(settings.prefix, settings.database)),
      link_(settings, address)
{
}

int Follower::start(libwebsock_context &context, uint64_t node_number, const StopSignal &stop)
{
    if (const int error = wakeup_.open(); error != 0)
        return error;
    context_ = &context;
    node = node_number;
    stop_ = &stop;
    const ThreadOptions options{.name = "redis-follow"};
    const int error = thread_.start(options, entry, this);
    started_ = error == 0;
    return error;
}

void Follower::join()
{
    if (std::exchange(started_, false))
        thread_.join();
}

void Follower::entry(void *self) { static_cast<Follower *>(self)->run(); }

void Follower::add(Order order)
{
    {
        const Lock lock(mutex_);
        orders_.push_back(std::move(order));
        if (has_orders_.exchange(true))
            return; // it has been woken already
    }
    wakeup_.wake();
}

void Follower::follow(std::string_view topic, uint64_t following, const Limits &limits)
{
    add(Follow{std::string(topic), following, limits});
}

void Follower::catch_up(std::string_view topic, uint64_t following)
{
    add(CatchUp{std::string(topic), following});
}

void Follower::unfollow(std::string_view topic) noexcept
{
    try {
        add(Unfollow{std::string(topic)});
    } catch (const std::exception &) {
        // With its next message the context will say that it does not want the topic.
    }
}

void Follower::answered(Fetch fetch, Reply reply)
{
    add(Answer{std::move(fetch), std::move(reply)});
}

void Follower::run() noexcept
{
    while (!stop_->raised()) {
        try {
            turn();
        } catch (const std::exception &) { // no memory: what was not handed over is fetched later
            (void)link_.refuse("no memory");
            lose();
        }
    }
    link_.close();
}

void Follower::turn()
{
    take_orders();
    if (!link_.is_open() && Clock::now() >= next_attempt_)
        connect();
    if (Clock::now() >= next_tick_)
        tick_topics();
    if (link_.is_open())
        keep_alive();
    if (link_.is_open() && link_.has_unsent() && link_.send() != 0)
        return lose();
    wait();
    if (link_.is_open())
        receive_all();
}

// An order for which there was no memory is obeyed again.
void Follower::take_orders()
{
    while (!taken_.empty() || has_orders_.load(std::memory_order_relaxed)) {
        if (taken_.empty()) {
            wakeup_.clear();
            const Lock lock(mutex_);
            taken_.swap(orders_);
            has_orders_ = false;
            continue;
        }
        std::visit([this](auto &what) { obey(what); }, taken_.front());
        taken_.pop_front();
    }
}

void Follower::obey(Follow &order)
{
    drop(order.topic); // there is one if there was no memory to unfollow it
    const auto [at, is_new] =
        topics_.try_emplace(order.topic, order.topic, order.following, order.limits);
    if (link_.is_open())
        subscribe(at->second);
}

void Follower::obey(Unfollow &order) { drop(order.topic); }

void Follower::obey(CatchUp &order)
{
    const auto at = topics_.find(order.topic);
    if (at != topics_.end() && at->second.following() == order.following)
        at->second.catch_up(*this);
}

void Follower::obey(Answer &order)
{
    const auto at = topics_.find(order.fetch.topic);
    if (at != topics_.end() && at->second.following() == order.fetch.following) {
        at->second.answered(*this, order.reply.get());
        if (at->second.is_gone())
            drop(order.fetch.topic);
    }
    commands_.finished_fetch();
}

void Follower::drop(const std::string &topic)
{
    const auto at = topics_.find(topic);
    if (at == topics_.end())
        return;
    commands_.cancel(topic);
    at->second.forget_held(*this);
    topics_.erase(at);
    if (link_.is_open())
        unsubscribe(topic);
}

void Follower::connect()
{
    next_attempt_ = backoff_.next();
    if (link_.open(*stop_) != 0) {
        if (!stop_->raised())
            health_.began(Trouble::messages_lost, link_.why());
        return;
    }
    heard_ = Clock::now();
    pinged_ = kNever;
    for (const auto &[name, topic] : topics_)
        subscribe(topic);
    health_.ended(Trouble::messages_lost);
}

void Follower::lose()
{
    health_.began(Trouble::messages_lost, link_.why());
    link_.close();
    has_backlog_ = false;
    acknowledgements_.clear();
    for (auto &[name, topic] : topics_)
        topic.disconnected(*this);
    next_attempt_ = std::max(next_attempt_, backoff_.next());
}

void Follower::subscribe(const FollowedTopic &topic)
{
    const std::string channel = channels_ + topic.name();
    acknowledgements_.push_back({topic.name(), topic.following()});
    if (link_.append(std::array<std::string_view, 2>{"SUBSCRIBE", channel}) != 0)
        throw std::bad_alloc();
}

void Follower::unsubscribe(const std::string &topic)
{
    const std::string channel = channels_ + topic;
    acknowledgements_.push_back({topic, 0});
    if (link_.append(std::array<std::string_view, 2>{"UNSUBSCRIBE", channel}) != 0)
        throw std::bad_alloc();
}

// Fetches that are due. They are minutes away, or follow a failure, so they need no exact time.
void Follower::tick_topics()
{
    const TimePoint now = Clock::now();
    next_tick_ = in_ms(kTickMs);
    for (auto &[name, topic] : topics_) {
        if (topic.due() <= now)
            topic.tick(*this);
    }
}

// A server that is silent is asked whether it is there.
void Follower::keep_alive()
{
    const TimePoint now = Clock::now();
    const std::chrono::milliseconds half(std::max(1, settings_.command_timeout_ms / 2));
    if (pinged_ == kNever) {
        if (now - heard_ < half)
            return;
        pinged_ = now;
        if (link_.append(std::array<std::string_view, 1>{"PING"}) != 0)
            throw std::bad_alloc();
    }
}

void Follower::wait()
{
    const std::chrono::milliseconds half(std::max(1, settings_.command_timeout_ms / 2));
    TimePoint until = next_tick_;
    if (has_backlog_)
        until = {};
    else if (link_.is_open())
        until = std::min(until, (pinged_ == kNever ? heard_ : pinged_) + half);
    else
        until = std::min(until, next_attempt_);
    const short events = static_cast<short>(link_.has_unsent() ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 3> fds{pollfd{stop_->fd(), POLLIN, 0}, pollfd{wakeup_.fd(), POLLIN, 0},
                              pollfd{link_.fd(), events, 0}};
    (void)::poll(fds.data(), fds.size(), ms_until(until)); // -1 is no descriptor, and passed over
}

int Follower::deliver(const libwebsock_delivery &delivery, unsigned long long &next)
{
    return libwebsock_deliver(context_, &delivery, &next) == 0 ? 0 : errno;
}

void Follower::fetch(Fetch fetch) { commands_.push(std::move(fetch)); }

void Follower::ignore(const std::string &topic)
{
    counters_.ignored.fetch_add(1, std::memory_order_relaxed);
    if (said_ignored_.due())
        log_.write(LIBWEBSOCK_LOG_WARNING,
                   "redis %s: something that no server of this cluster has written was ignored, "
                   "such as in topic %s",
                   server_.c_str(), topic.c_str());
}

} // namespace websock::redis
