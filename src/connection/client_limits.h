// client_limits.h: the limits that a client may have of its own: libwebsock_set_limit(3).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <websock/websock.h>

namespace websock {

// The most that one piece of memory may hold: 1 GiB where size_t has 32 bits, so that two of
// them with their headers still fit a size_t.
inline constexpr size_t kLargestLimit = SIZE_MAX / 4;
constexpr bool is_payload_limit(uint64_t bytes) { return bytes > 0 && bytes <= kLargestLimit; }

// Written by onrequest and onopen, read by the connection's thread, which looks whether
// Connection::limits_version_ has changed.
struct ClientLimits {
    explicit ClientLimits(const libwebsock_context &settings)
        : message(settings.max_message_payload), frame(settings.max_frame_payload),
          queued(settings.max_queued_bytes), idle_ms(settings.idle_timeout_ms)
    {
    }

    std::atomic<size_t> message;
    std::atomic<size_t> frame;
    std::atomic<size_t> queued;
    std::atomic<int> idle_ms;
};

} // namespace websock
