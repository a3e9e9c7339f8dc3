// compression_trimmer.h: gives states of zlib back that have not been used for a second or two.
#pragma once

#include "compression/compression_pools.h"
#include "dispatch/dispatcher.h"

#include <atomic>
#include <memory>

namespace websock {

class CompressionTrimmer final : public Runnable
{
  public:
    explicit CompressionTrimmer(Dispatcher &dispatcher) : dispatcher_(dispatcher) {}

    // Before any connection there is. Otherwise nothing is compressed.
    void watch(std::shared_ptr<CompressionPools> pools)
    {
        pools_ = std::move(pools);
        current_.store(pools_.get(), std::memory_order_release);
    }
    // For connections.
    const std::shared_ptr<CompressionPools> &pools() const { return pools_; }
    // For any thread, also before the server runs. nullptr: nothing is compressed.
    CompressionPools *current() const { return current_.load(std::memory_order_acquire); }

    // A connection compresses: while one does, or there are states, it looks now and then.
    void connection_begins()
    {
        ++pools_->connections;
        dispatcher_.expire_at(*this, in_ms(kLookMs));
    }
    void connection_ends() { --pools_->connections; }

    void run(Progress &, std::vector<uint8_t> &) noexcept override {}
    void expired() noexcept override
    {
        pools_->deflaters.give_back_idle();
        pools_->inflaters.give_back_idle();
        if (pools_->has_states())
            dispatcher_.expire_at(*this, in_ms(kLookMs));
        else if (pools_->connections > 0)
            dispatcher_.expire_at(*this, in_ms(kQuietMs));
    }
    // It lives as long as the dispatcher.
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "idle states of zlib"; }

  private:
    static constexpr int kLookMs = 1000;
    static constexpr int kQuietMs = 5000;

    Dispatcher &dispatcher_;
    std::shared_ptr<CompressionPools> pools_;          // written before any connection there is
    std::atomic<CompressionPools *> current_{nullptr}; // the same
};

} // namespace websock
