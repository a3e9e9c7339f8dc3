// counters.h: what the threads of an engine count, for libwebsock_redis_stats, and how much they
// may hold of what has not left yet.
#pragma once

#include <atomic>
#include <cstddef>

namespace websock::redis {

struct Counters {
    std::atomic<unsigned long long> published{0};
    std::atomic<unsigned long long> received{0};
    std::atomic<unsigned long long> duplicates{0};
    std::atomic<unsigned long long> gaps_filled{0};
    std::atomic<unsigned long long> lost_logs{0};
    std::atomic<unsigned long long> ignored{0};
    std::atomic<unsigned long long> dropped{0};
};

// Publications of all servers that no server has taken yet.
class Unsent
{
  public:
    explicit Unsent(size_t most_bytes) : most_bytes_(most_bytes) {}

    // False: they would be too many. One may always wait, however large it is.
    bool add(size_t bytes)
    {
        const size_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
        if (before != 0 && (before > most_bytes_ || bytes > most_bytes_ - before)) {
            bytes_.fetch_sub(bytes, std::memory_order_relaxed);
            return false;
        }
        messages_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    void remove(size_t bytes)
    {
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        messages_.fetch_sub(1, std::memory_order_relaxed);
    }
    size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
    size_t messages() const { return messages_.load(std::memory_order_relaxed); }

  private:
    const size_t most_bytes_;
    std::atomic<size_t> bytes_{0};
    std::atomic<size_t> messages_{0};
};

} // namespace websock::redis
