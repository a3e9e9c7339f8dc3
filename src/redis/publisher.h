// publisher.h: the command connection of a server, and its thread: sends what waits in the queue,
// many at a time, until each has an answer. Live messages come over another connection, to the
// follower.
#pragma once

#include "base/thread.h"
#include "redis/command_queue.h"
#include "redis/health.h"
#include "redis/script_call.h"
#include "redis_connection/backoff.h"
#include "redis_connection/link.h"

#include <deque>
#include <string>
#include <vector>

namespace websock::redis {

// Gets the answers of fetches.
class FetchReceiver
{
  public:
    // On the publisher's thread; must not wait. reply is null if the server refuses. Throws
    // std::bad_alloc.
    virtual void answered(Fetch fetch, Reply reply) = 0;

  protected:
    ~FetchReceiver() = default;
};

class Publisher
{
  public:
    // All must live as long as the publisher.
    Publisher(const Settings &settings, const Address &address, Unsent &unsent, Counters &counters,
              Health &health, Log &log);
    ~Publisher();
    Publisher(const Publisher &) = delete;
    Publisher &operator=(const Publisher &) = delete;

    CommandQueue &queue() { return queue_; }

    // Starts the thread. node: a number of this process's own. 0, or an errno value.
    int start(uint64_t node, const StopSignal &stop, FetchReceiver &receiver);
    // The stop has been raised: the thread ends when the queue is empty, or at its deadline.
    void close() { queue_.close(); }
    void join();

  private:
    static void entry(void *self);

    // The thread's.
    void run() noexcept;
    bool is_done();
    bool connect();
    void lose();
    void rest();

    // One round trip: publisher_round.cpp.
    void round();
    void number_batch();
    int append_all();
    int receive_all();
    int receive_fetches();
    void judge(const redisReply &reply, size_t i);
    bool is_final(std::string_view error);
    void say_dropped(const Publication &publication, std::string_view error);
    void forget_settled();
    void end_round();

    Unsent &unsent_;
    Counters &counters_;
    Health &health_;
    Log &log_;
    const std::string &server_; // its name, for the log
    CommandQueue queue_;
    Thread thread_;
    bool started_ = false;
    const StopSignal *stop_ = nullptr;
    FetchReceiver *receiver_ = nullptr;

    // From here on, the thread's alone once it has started.
    uint64_t node_ = 0;
    ScriptCalls calls_;
    Link link_;
    Backoff backoff_;
    uint64_t sequence_ = 0;         // of the last publication that was taken
    std::deque<Publication> batch_; // taken from the queue, and without an answer
    std::vector<bool> settled_;     // those of them that need no other round trip
    std::vector<Fetch> fetches_;    // as batch_
    std::vector<bool> fetched_;     // as settled_

    // What has happened in a round trip.
    bool scripts_forgotten_ = false;
    bool reconnect_ = false;
    std::string refusal_; // empty: nothing was refused

    Log::Minutely said_dropped_;
    Log::Minutely said_unfetched_;
};

} // namespace websock::redis
