// settings.cpp: see settings.h.
#include "server/settings.h"

#include "base/thread.h"
#include "compression/history.h"
#include "connection/client_limits.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <unistd.h>

namespace websock {

namespace {

constexpr size_t kMiB = 1024 * 1024;
constexpr size_t kLeastStack = 64 * 1024; // measured: a connection touches up to 16 KiB
// What the C library and thread-local data must leave of it when a thread begins.
constexpr size_t kLeastRoom = 24 * 1024;
constexpr size_t kMostStack = 1024 * kMiB; // the search for the smallest ends here
constexpr size_t kMostTraced = 16;         // more would not fit on a line of the log
constexpr size_t kMostSendBuffer = 1024 * kMiB;

size_t whole_pages(size_t bytes)
{
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

// The smallest stack that leaves kLeastRoom. 0: no thread could be made to find out.
size_t least_stack()
{
    const long systems = sysconf(_SC_THREAD_STACK_MIN); // 128 KiB on arm64
    const size_t floor = std::max(kLeastStack, systems > 0 ? static_cast<size_t>(systems) : 0);
    for (size_t bytes = floor; bytes <= kMostStack; bytes *= 2) {
        size_t room = 0;
        const int error = room_on_stack(bytes, room);
        if (error == 0 && room > 0)
            return whole_pages(std::max(floor, bytes - room + kLeastRoom));
        if (error != 0 && error != EINVAL)
            return 0;
    }
    return 0;
}

// Running out of memory or threads is not the setting's fault, and shows soon enough.
bool is_good_stack(size_t bytes)
{
    size_t room = 0;
    const int error = bytes >= kLeastStack ? room_on_stack(bytes, room) : EINVAL;
    return error == 0 ? room >= kLeastRoom : error != EINVAL;
}

} // namespace

void set_default_settings(libwebsock_context &context, size_t max_frame_payload)
{
    context.handshake_timeout_ms = 10'000;
    context.idle_timeout_ms = 120'000;
    context.send_timeout_ms = 30'000;
    context.message_timeout_ms = 300'000;
    context.close_timeout_ms = 5'000;
    context.drain_timeout_ms = 5'000;
    context.handle_signals = 1;
    context.max_frame_payload = max_frame_payload != 0 ? max_frame_payload : 16 * kMiB;
    context.max_message_payload = std::max(16 * kMiB, context.max_frame_payload);
    context.max_handshake_bytes = 16384;
    context.max_queued_bytes = 4 * kMiB;
    context.connection_stack_bytes = 128 * 1024;
    context.close_trace_frames = 8;
    context.max_handshakes = 1000;
    context.worker_stack_bytes = kMiB;
    context.max_topics = 10'000;
    context.max_subscriptions_per_client = 1000;
    context.max_topic_bytes = 64 * kMiB;
    context.compression_level = 3;
    context.compression_history = 2048;
    context.compression_window_bits = 10;
}

BadSetting bad_setting(const libwebsock_context &context)
{
    const struct {
        const char *name;
        bool good;
    } checks[] = {
        {"handshake_timeout_ms", context.handshake_timeout_ms > 0},
        {"idle_timeout_ms", context.idle_timeout_ms >= 0},
        {"message_timeout_ms", context.message_timeout_ms >= 0},
        {"send_timeout_ms", context.send_timeout_ms > 0},
        {"close_timeout_ms", context.close_timeout_ms >= 0},
        {"drain_timeout_ms", context.drain_timeout_ms >= 0},
        {"max_frame_payload", is_payload_limit(context.max_frame_payload)},
        {"max_message_payload", is_payload_limit(context.max_message_payload)},
        {"max_handshake_bytes", is_payload_limit(context.max_handshake_bytes)},
        {"max_queued_bytes", context.max_queued_bytes > 0},
        {"concurrent_events", context.concurrent_events >= 0},
        {"max_topics", context.max_topics > 0},
        {"max_subscriptions_per_client", context.max_subscriptions_per_client > 0},
        {"max_topic_bytes", context.max_topic_bytes > 0},
        {"send_buffer_bytes", context.send_buffer_bytes <= kMostSendBuffer},
        {"compression", context.compression == 0 || context.compression == 1},
        {"compression_level", context.compression_level >= 1 && context.compression_level <= 9},
        {"compression_history", context.compression_history <= History::kMost},
        {"compression_window_bits",
         context.compression_window_bits >= 8 && context.compression_window_bits <= 15},
        {"close_trace_frames", context.close_trace_frames <= kMostTraced},
        {"max_request_body", context.max_request_body <= kLargestLimit},
    };
    for (const auto &check : checks) {
        if (!check.good)
            return {.name = check.name};
    }
    if (!is_good_stack(context.connection_stack_bytes))
        return {.name = "connection_stack_bytes", .least = least_stack()};
    if (!is_good_stack(context.worker_stack_bytes))
        return {.name = "worker_stack_bytes", .least = least_stack()};
    return {};
}

} // namespace websock
