// send_compression.h: what an Outbox knows of the compression of its messages: what was agreed with
// the client, what the client can refer back to, and whether it is worth to try. How it is used is
// in outbox_compression.cpp.
#pragma once

#include "compression/compression_pools.h"
#include "outbox/sent_history.h"

#include <cstddef>
#include <memory>

namespace websock {

struct SendCompression {
    // history_bytes: 0 if no message may refer back to another.
    SendCompression(std::shared_ptr<CompressionPools> of, int bits, size_t history_bytes,
                    size_t least)
        : pools(std::move(of)), window_bits(bits), threshold(least), history(history_bytes)
    {
    }

    // Never changed, these three. A handle may outlive its server, so it shares the pools.
    const std::shared_ptr<CompressionPools> pools;
    const int window_bits;  // of the client, 8 to 15
    const size_t threshold; // bytes; shorter messages are not compressed

    // Guarded by the outbox's lock, the rest.
    SentHistory history;

    // What has not got smaller is a hint that the next messages do not, either: after n in a row,
    // 2^n - 1 are not even tried.
    bool passes_over()
    {
        if (left_to_pass_over_ == 0)
            return false;
        --left_to_pass_over_;
        return true;
    }
    void has_shrunk() { in_vain_ = 0; }
    void has_not_shrunk()
    {
        in_vain_ = in_vain_ < kMostInVain ? in_vain_ + 1 : kMostInVain;
        left_to_pass_over_ = (1U << in_vain_) - 1;
    }

  private:
    static constexpr unsigned kMostInVain = 5;
    unsigned in_vain_ = 0;
    unsigned left_to_pass_over_ = 0;
};

} // namespace websock
