// memory_backplane.h: a backplane for servers in one process, whose logs are in memory. It is what
// another engine would have to be, without a network.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <websock/websock.h>

namespace test {

class MemoryBackplane
{
  public:
    // Has the context use it. It must outlive the context.
    int serve(libwebsock_context *context);

    void lose_logs();         // as if all had been on a disk that is gone
    void hold_back(bool yes); // nothing is delivered meanwhile
    int catching_up();        // how often a server has asked for it

  private:
    struct Entry {
        uint64_t offset;
        unsigned opcode;
        std::string payload, id, key;
        const void *node;
        unsigned long long publisher;
    };
    struct Log {
        uint64_t epoch;
        uint64_t end = 0;     // the newest offset
        uint64_t trimmed = 0; // up to here they have left because of the limits
        std::deque<Entry> entries = {};
    };
    // One server's end of it.
    struct Node {
        MemoryBackplane &of;
        libwebsock_context *context = nullptr;
        std::thread thread = {};
        bool stops = false;
        std::set<std::string> news = {}; // topics that may have some
        struct Place {
            uint64_t epoch = 0; // 0: just followed
            uint64_t next = 0;
            unsigned long long following = 0;
            size_t history = 0;
            bool wants_end = false;
        };
        std::map<std::string, Place> followed = {};
    };

    static MemoryBackplane &of(void *data) { return static_cast<Node *>(data)->of; }
    int publish(Node &node, const libwebsock_publication &what,
                const libwebsock_topic_options &options, unsigned long long publisher);
    void run(Node &node);
    void catch_up(Node &node, const std::string &topic, std::unique_lock<std::mutex> &lock);
    Log &log(const std::string &topic);

    std::mutex mutex_; // guards all of it
    std::condition_variable news_;
    std::map<std::string, Log> logs_;
    std::vector<std::unique_ptr<Node>> nodes_;
    uint64_t last_epoch_ = 0;
    bool held_back_ = false;
    int catching_up_ = 0;
};

} // namespace test
