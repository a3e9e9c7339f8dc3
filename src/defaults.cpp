// defaults.cpp: the callbacks and settings a new context has: enough to see a server
// work before the first callback is written.
#include "defaults.h"

#include "connection.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace websock {

namespace {

constexpr size_t kMiB = 1024 * 1024;
constexpr size_t kPrintedBytes = 256; // of a message

int print_open(libwebsock_client_state *client)
{
    std::printf("connect fd %d, %s\n", client->sockfd, libwebsock_peer(client));
    std::fflush(stdout);
    return 0;
}

int print_close(libwebsock_client_state *client)
{
    const libwebsock_close_info &info = *client->close_info;
    std::printf("disconnect fd %d, %s: %u%s%s\n", client->sockfd, libwebsock_peer(client),
                unsigned{info.code}, info.reason[0] ? " " : "", info.reason);
    std::fflush(stdout);
    return 0;
}

// One line, whatever a client sends: control characters, quotes and what is not ASCII
// are escaped.
std::string escaped(const char *bytes, size_t len)
{
    std::string text;
    for (const char c : std::string_view(bytes, len)) {
        char piece[5] = {c, 0};
        if (c == '\n' || c == '\t' || c == '\r')
            std::snprintf(piece, sizeof piece, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c == '"' || c == '\\')
            std::snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            std::snprintf(piece, sizeof piece, "\\x%02x", static_cast<unsigned>(c) & 0xff);
        text += piece;
    }
    return text;
}

int print_message(libwebsock_client_state *client, libwebsock_message *msg)
{
    const size_t shown = std::min(static_cast<size_t>(msg->payload_len), kPrintedBytes);
    std::printf("%s fd %d, %s, %llu bytes: \"%s\"%s\n",
                msg->opcode == WS_OPCODE_TEXT ? "text" : "binary", client->sockfd,
                libwebsock_peer(client), msg->payload_len, escaped(msg->payload, shown).c_str(),
                msg->payload_len > shown ? "..." : "");
    std::fflush(stdout);
    return 0;
}

int cut_off(libwebsock_client_state *client, libwebsock_frame *frame)
{
    std::fprintf(stderr, "error: fd %d, %s: a frame of %llu bytes is too large, closing\n",
                 client->sockfd, libwebsock_peer(client), frame->payload_len);
    Connection::of(client)->drop("a frame of " + std::to_string(frame->payload_len) +
                                 " bytes was too large");
    return 0;
}

} // namespace

void default_onlog(libwebsock_context *, int level, const char *text)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (level <= LIBWEBSOCK_LOG_INFO)
        std::fprintf(stderr, "libwebsock: %s: %s\n", names[level], text);
}

void set_defaults(libwebsock_context &context, size_t max_frame_payload)
{
    context.onopen = print_open;
    context.onmessage = print_message;
    context.onclose = print_close;
    context.onframetoolarge = cut_off;
    context.onlog = default_onlog;
    context.handshake_timeout_ms = 10'000;
    context.idle_timeout_ms = 120'000;
    context.send_timeout_ms = 30'000;
    context.message_timeout_ms = 300'000;
    context.close_timeout_ms = 5'000;
    context.drain_timeout_ms = 5'000;
    context.handle_signals = 1;
    context.max_frame_payload = max_frame_payload != 0 ? max_frame_payload : 16 * kMiB;
    context.max_message_payload = std::max(16 * kMiB, context.max_frame_payload);
    context.max_handshake_bytes = 8192;
    context.max_queued_bytes = 4 * kMiB;
    context.connection_stack_bytes = 128 * 1024;
    context.close_trace_frames = 8;
}

} // namespace websock
