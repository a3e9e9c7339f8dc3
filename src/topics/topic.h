// topic.h: one topic: its log, and its subscribers in slices. Publishing appends to the log and
// posts the slices; a worker that runs a slice tells each subscriber in it that there is
// something to read. So a large fan-out runs on all processors, and a publisher waits for nobody.
//
// Locks: a subscriber's comes before Topics', that before a topic's, and that before the
// Announcer's. No lock is held while a client is written to.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/ref.h"
#include "dispatch/dispatcher.h"
#include "topics/subscription.h"
#include "topics/topic_log.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace websock {

class Connection;

class Topic
{
  public:
    struct Options {
        TopicLog::Limits limits{.messages = 256, .bytes = 1024 * 1024, .age_ms = 0};
        bool closes_who_is_behind = true;
    };

    // name: at most kMaxName bytes. all_bytes: of all logs together, kept up by each; not used
    // once the topic was dropped. Throws std::bad_alloc.
    static Ref<Topic> make(std::string_view name, uint64_t epoch, const Options &options,
                           Dispatcher &dispatcher, std::atomic<size_t> &all_bytes);

    const std::string &name() const { return name_; }
    uint64_t number() const { return epoch_; } // no other topic has it, not even one of its name

    void configure(const Options &options) EXCLUDES(mutex_);

    struct Published {
        bool gone = false;     // the topic was dropped meanwhile: nothing was done
        bool replaced = false; // another one, by its key
        uint64_t offset = 0;
    };
    // entered is called once the message is in the log, under the lock, and must not throw. Throws
    // std::bad_alloc with nothing done.
    Published publish(const Ref<Message> &message, int64_t now_ms,
                      const std::function<void()> &entered) EXCLUDES(mutex_);

    // For a log that is kept elsewhere, whose offsets are not those of the log here. A message that
    // was not here before enters, unless others are missing before it. message is null at an end:
    // what of the log up to offset has not come is lost, and the topic is complete; and if there is
    // no room for the message: then that is lost. The first message may have any offset. Throws
    // std::bad_alloc with nothing done.
    struct Kept {
        uint64_t epoch;
        uint64_t follows; // the offset before this one: between them are none
        uint64_t offset;
        bool ends; // it is no message, but an end
    };
    struct Delivered {
        bool gone = false; // the topic was dropped meanwhile: nothing was done
        bool entered = false;
        bool replaced = false;
        bool missing = false;
        uint64_t next = 0; // the offset that is to come next
    };
    Delivered deliver(const Kept &at, const Ref<Message> &message, int64_t now_ms,
                      const std::function<void()> &entered) EXCLUDES(mutex_);
    // Until it is complete. False: it was not by then, or stop_waiting() or drop() was called.
    bool wait_until_complete(TimePoint deadline) EXCLUDES(mutex_);
    void stop_waiting() EXCLUDES(mutex_);
    void is_incomplete() EXCLUDES(mutex_); // until the next end

    // Where a subscription begins.
    struct Start {
        size_t history = 0;
        const char *after_id = nullptr; // or nullptr
    };
    // 0, or ENOENT. Throws std::bad_alloc with nothing done. Under the subscriber's lock.
    int add(Subscription &subscription, const Start &start) EXCLUDES(mutex_);
    void remove(Subscription &subscription) EXCLUDES(mutex_);

    // Hands over what a subscriber at cursor gets next, as TopicLog::read does. missed: so many
    // had left before; the cursor is moved behind those.
    struct Reading {
        uint64_t missed = 0;
        bool closes = false; // whoever has missed some is to be closed
    };
    template<class Take>
    Reading read(std::atomic<uint64_t> &cursor, const Take &take) EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        expire_locked();
        const uint64_t from = cursor.load(std::memory_order_relaxed);
        const Reading reading{.missed = log_.missed(from), .closes = options_.closes_who_is_behind};
        bool any = false;
        log_.read(from, [&](uint64_t offset, const Ref<Message> &message) {
            if (!std::exchange(any, true) && reading.missed > 0)
                cursor.store(offset, std::memory_order_relaxed);
            return take(offset, message);
        });
        if (!any)
            cursor.store(log_.end(), std::memory_order_relaxed);
        return reading;
    }
    // The offset that the next message will have. A subscriber that has read up to it is told of
    // the next one by a slice that runs later.
    uint64_t end() const { return end_.load(std::memory_order_acquire); }

    void expire(int64_t now_ms) EXCLUDES(mutex_);
    bool evict_oldest() EXCLUDES(mutex_); // false: there is no message
    void drop() EXCLUDES(mutex_);         // all; and nothing can be published from now on

    struct Figures {
        uint64_t epoch = 0;
        uint64_t offset = 0; // of the newest message; 0: there was none
        size_t messages = 0;
        size_t bytes = 0;
        size_t subscribers = 0;
        uint64_t furthest_behind = 0; // offsets
    };
    Figures figures() EXCLUDES(mutex_);
    bool is_empty() EXCLUDES(mutex_);

    void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
    void release();

    // For Topics, guarded by its lock: subscriptions, and the list of topics without any.
    size_t subscriptions = 0;
    Topic *previous = nullptr;
    Topic *next = nullptr;

  private:
    // Some of the subscribers.
    class Slice final : public Runnable
    {
      public:
        static constexpr size_t kMost = 256;

        explicit Slice(Topic &topic) : topic_(topic) { members_.reserve(kMost); }

        void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
        void retain() noexcept override { topic_.retain(); }
        void release() noexcept override { topic_.release(); }
        const char *name() const noexcept override { return topic_.name_.c_str(); }

        // Guarded by the topic's lock.
        std::vector<Subscription *> members_; // at most kMost
        bool posted_ = false;                 // and not begun to run

      private:
        Topic &topic_;
    };

    Topic(std::string_view name, uint64_t epoch, const Options &options, Dispatcher &dispatcher,
          std::atomic<size_t> &all_bytes)
        : name_(name), epoch_(epoch), dispatcher_(dispatcher), all_bytes_(all_bytes),
          options_(options)
    {
    }

    void post_slices() REQUIRES(mutex_);
    void post(Slice &slice) REQUIRES(mutex_);
    void count_bytes() REQUIRES(mutex_);
    void expire_locked() REQUIRES(mutex_);

    std::atomic<size_t> references_{1}; // Topics', each subscription's, each posted slice's
    const std::string name_;
    const uint64_t epoch_; // of a log that is kept here
    Dispatcher &dispatcher_;
    std::atomic<size_t> &all_bytes_;
    std::atomic<uint64_t> end_{1}; // written under mutex_

    Mutex mutex_;
    Options options_ GUARDED_BY(mutex_);
    TopicLog log_ GUARDED_BY(mutex_);
    size_t counted_bytes_ GUARDED_BY(mutex_) = 0; // of log_, in all_bytes_
    // A slice is never taken away, so that one may run while others come and go; all but the
    // last are full.
    std::vector<std::unique_ptr<Slice>> slices_ GUARDED_BY(mutex_);
    size_t subscribers_ GUARDED_BY(mutex_) = 0;
    bool gone_ GUARDED_BY(mutex_) = false;

    // Of a log that is kept elsewhere.
    uint64_t kept_epoch_ GUARDED_BY(mutex_) = 0; // 0: nothing has come yet
    uint64_t kept_next_ GUARDED_BY(mutex_) = 0;
    bool complete_ GUARDED_BY(mutex_) = false;
    bool waiting_stopped_ GUARDED_BY(mutex_) = false;
    Cond completed_; // or stopped
};

} // namespace websock
