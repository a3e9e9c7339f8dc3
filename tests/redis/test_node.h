// test_node.h: stands in for the library in tests of the engine: a context that does with
// deliveries what libwebsock_deliver documents, and remembers them. Whole servers are in
// cluster_test.py.
#pragma once

#include "base/lock.h"

#include <atomic>
#include <map>
#include <string>
#include <vector>
#include <websock/redis.h>

namespace test {

class TestNode
{
  public:
    // Options that are not given are short time-outs and the given servers.
    explicit TestNode(std::vector<std::string> servers, libwebsock_redis_options options = {});
    ~TestNode();
    TestNode(const TestNode &) = delete;
    TestNode &operator=(const TestNode &) = delete;

    int use_error() const { return use_error_; } // of libwebsock_use_redis: 0, or an errno value
    void stop();

    // 0 or an errno value.
    int publish(const std::string &topic, const std::string &text, const std::string &key = "",
                unsigned long long publisher = 0, int flags = 0);
    int follow(const std::string &topic);
    // follow(), and waits until the log is loaded.
    bool load(const std::string &topic);
    void unfollow(const std::string &topic);

    struct Topic {
        bool followed = false;
        unsigned long long following = 0;
        bool began = false; // the first messages have come, to their end
        bool any = true;    // the next offset may be any
        unsigned long long epoch = 0;
        unsigned long long next = 1;
        std::vector<std::string> texts;
        std::vector<unsigned long long> publishers;
        std::vector<int> flags;
        unsigned long long lost = 0; // offsets
        int epochs = 0;              // that began after the first one
    };
    Topic topic(const std::string &name) EXCLUDES(mutex_);
    // Waits until so many messages have come.
    bool received(const std::string &topic, size_t count);
    libwebsock_redis_statistics stats();
    std::string log() EXCLUDES(mutex_);

    // While held, nothing that is delivered is taken, as when onpublished stands still.
    void hold_deliveries(bool held) EXCLUDES(mutex_);

    // What messages are kept; for those that follow and publish from now on.
    libwebsock_topic_options options{};

    // The stand-in of the library.
    int use(const libwebsock_backplane &table);
    int deliver(const libwebsock_delivery &delivery, unsigned long long *next) EXCLUDES(mutex_);
    void write_log(const char *text) EXCLUDES(mutex_);
    static TestNode &of(libwebsock_context *context)
    {
        return *static_cast<TestNode *>(context->user_data);
    }

  private:
    libwebsock_context context_{};
    libwebsock_backplane table_{};
    int use_error_ = 0;
    bool runs_ = false;
    std::atomic<unsigned long long> follows_{0};

    websock::Mutex mutex_;
    std::map<std::string, Topic> topics_ GUARDED_BY(mutex_);
    std::string log_ GUARDED_BY(mutex_);
    bool held_ GUARDED_BY(mutex_) = false;
    websock::Cond released_;
};

} // namespace test
