// topic_log.h: the messages of one topic, in the order of their offsets, which begin with 1.
// It is bounded, and a message that has a key replaces the one with that key. It locks nothing
// and knows no subscribers: a subscriber is an offset, a cursor, kept elsewhere.
//
// A message that was replaced leaves a gap. An offset is never used twice.
#pragma once

#include "protocol/message.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>

namespace websock {

class TopicLog
{
  public:
    struct Limits {
        size_t messages; // at least 1
        size_t bytes;    // of all of them; the newest one stays, however large it is
        int age_ms;      // 0: they do not age
    };

    TopicLog() = default;
    TopicLog(const TopicLog &) = delete;
    TopicLog &operator=(const TopicLog &) = delete;

    // Adds a message; the oldest leave as the limits demand. Returns whether it has replaced
    // another one. Throws std::bad_alloc with nothing changed. now_ms: of coarse_ms(), and so
    // below.
    bool append(Ref<Message> message, const Limits &limits, int64_t now_ms);
    // Messages that are too old leave.
    void expire(const Limits &limits, int64_t now_ms) noexcept;
    // The oldest one leaves, if there is one.
    void evict_oldest() noexcept;
    // So many messages are missing that should come now: their offsets count as missed.
    void lose(uint64_t count) noexcept;

    // The offset that the next message will have.
    uint64_t end() const { return end_; }
    size_t messages() const { return messages_; }
    size_t bytes() const { return bytes_; } // of memory
    bool empty() const { return messages_ == 0; }
    // Calls take(offset, message) for what is at or behind the cursor, in order, as long as that
    // returns true, and up to where some are missing.
    template<class Take> void read(uint64_t cursor, const Take &take) const
    {
        uint64_t last = end_;
        for (size_t i = position(cursor); i < entries_.size(); ++i) {
            const Entry &entry = entries_[i];
            if (!entry.message)
                continue;
            if (is_any_missing(last, entry.offset) || !take(entry.offset, entry.message))
                return;
            last = entry.offset;
        }
    }
    // How many messages between the cursor and the first one that read() hands over have left
    // because of the limits, or are missing. When many keys were replaced long ago, some of those
    // count, too.
    uint64_t missed(uint64_t cursor) const;

    // Cursors for newcomers: before the last count messages; behind the one with this id, if it
    // is here. Behind them none is missing.
    uint64_t before_last(size_t count) const;
    std::optional<uint64_t> behind(std::string_view id) const;

  private:
    struct Entry {
        uint64_t offset;
        int64_t published_ms;
        Ref<Message> message; // null: it was replaced
    };
    using Index = std::unordered_map<std::string_view, uint64_t>; // views into the messages

    // Offsets that have left because of the limits, or are missing, without gaps.
    struct Run {
        uint64_t first;
        uint64_t last;
    };
    static constexpr size_t kMostRuns = 16;

    static size_t cost(const Message &message);
    static bool insert(Index &index, std::string_view name);
    static std::optional<uint64_t> point(Index &index, std::string_view name,
                                         uint64_t offset) noexcept;
    static void forget(Index &index, std::string_view name, uint64_t offset) noexcept;

    size_t position(uint64_t offset) const;
    void replace(uint64_t offset) noexcept;
    void take_out(Entry &entry) noexcept;
    void drop_gaps() noexcept;
    void note_missing(Run run) noexcept;
    bool is_any_missing(uint64_t from, uint64_t to) const;

    std::deque<Entry> entries_; // by offset; the first one was not replaced
    size_t messages_ = 0;       // those of them that were not
    size_t bytes_ = 0;
    uint64_t end_ = 1;
    Index by_id_; // of several with one id, the newest
    Index by_key_;
    std::array<Run, kMostRuns> runs_{}; // by offset
    size_t run_count_ = 0;
};

} // namespace websock
