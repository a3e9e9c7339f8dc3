// inflation.h: what a connection keeps to receive compressed messages: the state of the one that is
// coming, and what was agreed with the client. The connection's thread uses it; any thread may read
// the figures.
#pragma once

#include "base/utf8.h"
#include "compression/compression_pools.h"
#include "compression/message_inflater.h"
#include "protocol/frame.h"
#include "protocol/permessage_deflate.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace websock {

struct Inflation {
    Inflation(std::shared_ptr<CompressionPools> of, const CompressionParameters &parameters,
              uint64_t max_message)
        : pools(std::move(of)), agreed(parameters),
          inflater(pools->inflaters, parameters.client_window_bits,
                   parameters.client_context_takeover, max_message)
    {
    }

    const std::shared_ptr<CompressionPools> pools; // shared: a handle may outlive its server
    const CompressionParameters agreed;
    // The connection's thread's alone:
    MessageInflater inflater;
    Utf8Validator utf8; // of the text message that is coming
    Decoded frame;      // what is being inflated, or was last
    // Written by that thread, read by any:
    std::atomic<uint64_t> messages{0};
    std::atomic<uint64_t> bytes_before{0};
    std::atomic<uint64_t> bytes_after{0};
    std::atomic<size_t> memory{0};
};

} // namespace websock
