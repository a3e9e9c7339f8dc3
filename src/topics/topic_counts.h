// topic_counts.h: what all topics of a server have done so far, for libwebsock_stats.
#pragma once

#include <atomic>
#include <cstdint>

namespace websock {

// Each is a sum of its own: any thread adds to it.
struct TopicCounts {
    std::atomic<uint64_t> publications{0};
    std::atomic<uint64_t> deliveries{0};    // messages that were written to a subscriber
    std::atomic<uint64_t> replaced{0};      // messages, by a newer one with their key
    std::atomic<uint64_t> missed{0};        // messages, by subscribers that were behind
    std::atomic<uint64_t> closed_behind{0}; // subscribers
};

} // namespace websock
