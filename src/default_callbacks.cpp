// default_callbacks.cpp: see default_callbacks.h.
#include "default_callbacks.h"

#include "connection.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace websock {

namespace {

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

void set_default_callbacks(libwebsock_context &context)
{
    context.onopen = print_open;
    context.onmessage = print_message;
    context.onclose = print_close;
    context.onframetoolarge = cut_off;
    context.onlog = default_onlog;
}

} // namespace websock
