// compression_pools.h: the states of zlib that all connections of a server share, in both
// directions, and the time that is spent in them.
#pragma once

#include "base/clock.h"
#include "compression/deflate_pool.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace websock {

struct CompressionPools {
    // history: the most bytes that a message may be a continuation of.
    CompressionPools(int level, size_t history) : deflaters(level, history) {}

    // Calls of zlib for a message, or a part of one.
    struct Calls {
        std::atomic<uint64_t> count{0};
        std::atomic<uint64_t> ns{0};
    };
    // Counts one, with the time of its life.
    class Timer
    {
      public:
        explicit Timer(Calls &calls) : calls_(calls) {}
        ~Timer()
        {
            const std::chrono::nanoseconds time = Clock::now() - begin_;
            calls_.ns.fetch_add(static_cast<uint64_t>(time.count()), std::memory_order_relaxed);
            calls_.count.fetch_add(1, std::memory_order_relaxed);
        }
        Timer(const Timer &) = delete;
        Timer &operator=(const Timer &) = delete;

      private:
        Calls &calls_;
        const TimePoint begin_ = Clock::now();
    };

    DeflaterPool deflaters;
    InflaterPool inflaters;
    std::atomic<size_t> connections{0}; // that send or receive compressed messages, now
    Calls deflate;
    Calls inflate;

    bool has_states() const
    {
        const PoolFigures out = deflaters.figures();
        const PoolFigures in = inflaters.figures();
        return out.in_use + out.idle + in.in_use + in.idle > 0;
    }
};

} // namespace websock
