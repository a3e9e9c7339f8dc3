// engine.h: what a context's topics are kept by: the servers, and which of them keeps which topic.
// The functions of libwebsock_backplane, as C++.
#pragma once

#include "redis/counters.h"
#include "redis/log.h"
#include "redis/server.h"
#include "redis_connection/settings.h"

#include <memory>
#include <string_view>
#include <vector>
#include <websock/redis.h>

namespace websock::redis {

class Engine
{
  public:
    // Throws std::bad_alloc. No thread yet, and nothing that a fork would share.
    Engine(libwebsock_context &context, Settings settings);
    ~Engine() { stop(); }
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    // These return 0 or an errno value, as the table of functions documents them, and throw
    // std::bad_alloc with nothing done.
    int start();
    void stop();
    int publish(const libwebsock_publication &publication, const libwebsock_topic_options &options,
                unsigned long long publisher);
    int follow(std::string_view topic, const libwebsock_topic_options &options,
               unsigned long long following);
    void unfollow(std::string_view topic) noexcept;
    int catch_up(std::string_view topic, unsigned long long following);

    // Any thread.
    int stats(libwebsock_redis_statistics &out);

    libwebsock_context &context() const { return context_; }
    Engine *previous = nullptr; // in the list of all engines
    Engine *next = nullptr;

  private:
    Server &server_of(std::string_view topic);

    libwebsock_context &context_;
    const Settings settings_;
    Log log_;
    Counters counters_;
    Unsent unsent_;
    StopSignal stop_;
    std::vector<std::unique_ptr<Server>> servers_;
    std::atomic<pid_t> serves_in_{0}; // the process that has called start()
};

} // namespace websock::redis
