// server.h: one server: its two connections, and what they share.
#pragma once

#include "redis/follower.h"
#include "redis/health.h"
#include "redis/publisher.h"

#include <cstdint>
#include <string_view>

namespace websock::redis {

class Server
{
  public:
    // All must live as long as the server.
    Server(const Settings &settings, const Address &address, Unsent &unsent, Counters &counters,
           Log &log);

    // How much this server wants a topic: it goes to the one that wants it most, so that without
    // one of several servers only that one's topics would move.
    uint64_t weight(std::string_view topic) const;

    // 0, or an errno value, and then finish() is to be called all the same.
    int start(libwebsock_context &context, const StopSignal &stop);
    // When the stop has been raised: for_publishing by when what is queued has left, or not.
    void close() { publisher_.close(); }
    void join();

    CommandQueue &commands() { return publisher_.queue(); }
    Follower &follower() { return follower_; }
    Health &health() { return health_; }

  private:
    const uint64_t hash_; // of its name
    Health health_;
    Publisher publisher_;
    Follower follower_;
};

} // namespace websock::redis
