// announcer.h: tells the program of every message that has entered a log: calls onpublished, on
// one worker at a time, in the order in which the messages came.
#pragma once

#include "base/lock.h"
#include "base/ref.h"
#include "dispatch/dispatcher.h"
#include "protocol/message.h"
#include "topics/topic.h"

#include <atomic>
#include <cstddef>
#include <list>
#include <vector>
#include <websock/websock.h>

namespace websock {

struct Engine;

class Announcer final : public Runnable
{
  public:
    explicit Announcer(Engine &engine) : engine_(engine) {}

    // From attach() to detach() it runs on the dispatcher. detach() is for when no worker runs any
    // more: what has not been told by then is not told.
    void attach() EXCLUDES(mutex_);
    void detach() EXCLUDES(mutex_);

    // What has not been told by now is not told. Whether there was any.
    bool drop_untold() EXCLUDES(mutex_);

    // Whether so much waits to be told that no more should be published.
    bool is_full() const { return waiting_bytes_.load(std::memory_order_relaxed) > kMostBytes; }
    // Waits while that is so.
    void wait_for_room() EXCLUDES(mutex_);
    void stop_waiting() EXCLUDES(mutex_); // nobody waits any more, from now on
    struct Entry {
        Ref<Topic> topic;
        Ref<Message> message;
    };
    using Entries = std::list<Entry>;
    // What add() takes, made beforehand, because that must not fail: add() is called under the
    // topic's lock, so that the order is the log's. Empty: nobody is to be told. Throws
    // std::bad_alloc.
    Entries prepare(const Ref<Topic> &topic, const Ref<Message> &message) EXCLUDES(mutex_);
    void add(Entries &one) noexcept EXCLUDES(mutex_);

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void retain() noexcept override {} // outlives the dispatcher
    void release() noexcept override {}
    const char *name() const noexcept override { return "onpublished"; }

  private:
    static constexpr size_t kMostBytes = 16 * 1024 * 1024;
    static constexpr size_t kInARow = 32; // and then it is others' turn

    bool is_wanted() const REQUIRES(mutex_);
    bool tell_one() EXCLUDES(mutex_);

    Engine &engine_;
    std::atomic<size_t> waiting_bytes_{0}; // written under mutex_

    Mutex mutex_;
    Entries waiting_ GUARDED_BY(mutex_);
    bool attached_ GUARDED_BY(mutex_) = false;
    bool posted_ GUARDED_BY(mutex_) = false;
    bool waiting_stopped_ GUARDED_BY(mutex_) = false;
    Cond room_;
};

} // namespace websock
