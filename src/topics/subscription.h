// subscription.h: one client in one topic: a cursor in the topic's log, and its places in the
// lists of both.
#pragma once

#include "base/ref.h"
#include "connection/connection.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace websock {

class Subscriber;
class Topic;

class Subscription
{
  public:
    Subscription(Connection &of, Subscriber &by, const Ref<Topic> &in, bool without_own)
        : client(Ref<Connection>::share(&of)), subscriber(by), topic(in), no_echo(without_own)
    {
    }

    void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
    void release()
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }

    const Ref<Connection> client; // which has the subscriber
    Subscriber &subscriber;
    const Ref<Topic> topic;
    const bool no_echo;

    // Guarded by the subscriber's lock. The cursor is read without it, too, for statistics.
    std::atomic<uint64_t> cursor{0}; // the offset of the message that is next
    uint64_t missed = 0;             // messages, for the next event to tell of
    uint64_t to_tell = 0;            // the same, for the event that runs
    bool ended = false;              // unsubscribed
    bool ready = false;              // in the subscriber's list of those with messages
    Subscription *previous = nullptr;
    Subscription *next = nullptr;

    // Guarded by the topic's lock: its place.
    size_t slice = 0;
    size_t index = 0;

  private:
    ~Subscription() = default;

    std::atomic<size_t> references_{1}; // the subscriber's, and those of slices that run
};

} // namespace websock
