// command_queue.h: what waits for the command connection of a server: publications, in their order,
// and fetches of what followers have missed. Who sends them is the publisher.
#pragma once

#include "base/lock.h"
#include "redis/counters.h"
#include "redis_connection/packet.h"
#include "redis_connection/script.h"

#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

namespace websock::redis {

struct Publication {
    std::string topic;
    std::string key;
    std::string packed;
    Limits limits;
    uint64_t sequence = 0; // given when it is taken from the queue

    size_t cost() const
    {
        constexpr size_t kOverhead = 64; // of the heap's blocks
        return sizeof(Publication) + topic.size() + key.size() + packed.size() + kOverhead;
    }
};

// Asks for what is behind the last message that is known.
struct Fetch {
    std::string topic;
    uint64_t following = 0; // for which of the times that the topic was followed
    uint64_t epoch = 0;     // that is known; 0: none, and the rest means nothing
    uint64_t last = 0;
    bool has_origin = false; // of the message at last
    Origin origin;
    Limits limits;
    std::string past; // epochs before that one, as epoch_text() writes them
};

class CommandQueue
{
  public:
    explicit CommandQueue(Unsent &unsent) : unsent_(unsent) {}
    ~CommandQueue();
    CommandQueue(const CommandQueue &) = delete;
    CommandQueue &operator=(const CommandQueue &) = delete;

    // Any thread. 0, EAGAIN or ESHUTDOWN. Throws std::bad_alloc, with nothing done.
    int push(Publication publication) EXCLUDES(mutex_);
    // At most one fetch of a topic waits: the newest. Throws std::bad_alloc.
    void push(Fetch fetch) EXCLUDES(mutex_);
    void cancel(const std::string &topic) EXCLUDES(mutex_);
    // The answer of a fetch has been dealt with, so that another one may be made.
    void finished_fetch() EXCLUDES(mutex_);

    // For the publisher. Waits for something to do; false: the queue is closed, and empty.
    bool wait() EXCLUDES(mutex_);
    // Whether no publication waits.
    bool is_empty() EXCLUDES(mutex_);
    // Adds what waits to the two, up to what one round trip carries. Throws std::bad_alloc with
    // nothing lost.
    void take(std::deque<Publication> &publications, std::vector<Fetch> &fetches) EXCLUDES(mutex_);
    void close() EXCLUDES(mutex_);

  private:
    static constexpr size_t kMostInBatch = 256; // publications
    static constexpr size_t kMostBytesInBatch = 256 * 1024;
    // Fetches that are taken and not finished: each may bring a page of a megabyte.
    static constexpr size_t kMostFetches = 8;

    bool has_work() const REQUIRES(mutex_);

    Unsent &unsent_;

    Mutex mutex_;
    Cond changed_; // the publisher waits for it
    std::deque<Publication> publications_ GUARDED_BY(mutex_);
    std::list<Fetch> fetches_ GUARDED_BY(mutex_);
    std::unordered_map<std::string, std::list<Fetch>::iterator> by_topic_ GUARDED_BY(mutex_);
    size_t fetches_taken_ GUARDED_BY(mutex_) = 0; // and not finished
    bool waits_ GUARDED_BY(mutex_) = false;       // the publisher, for changed_
    bool closed_ GUARDED_BY(mutex_) = false;
};

} // namespace websock::redis
