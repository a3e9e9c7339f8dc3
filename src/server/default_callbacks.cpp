// default_callbacks.cpp: see default_callbacks.h.
#include "server/default_callbacks.h"

#include "base/escape.h"
#include "base/standard_streams.h"
#include "connection/connection.h"
#include "dispatch/log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace websock {

namespace {

constexpr size_t kPrintedBytes = 256; // of a message

// What a client has chosen, in one line whatever it is, for up to kPrintedBytes of it.
class Escaped
{
  public:
    explicit Escaped(std::string_view text, char quote = '\0')
    {
        text_[escape(text, std::span(text_).first(text_.size() - 1), quote)] = '\0';
    }
    const char *text() const { return text_.data(); }

  private:
    std::array<char, 4 * kPrintedBytes + 1> text_; // \xff is the longest of one byte
};

int print_open(libwebsock_client_state *client)
{
    print_line(STDOUT_FILENO, "connect fd %d, %s", client->sockfd, libwebsock_peer(client));
    return 0;
}

int print_close(libwebsock_client_state *client)
{
    const libwebsock_close_info &info = *client->close_info;
    print_line(STDOUT_FILENO, "disconnect fd %d, %s: %u%s%s", client->sockfd,
               libwebsock_peer(client), unsigned{info.code}, info.reason[0] ? " " : "",
               Escaped(info.reason).text());
    return 0;
}

int print_message(libwebsock_client_state *client, libwebsock_message *msg)
{
    const std::string_view all(msg->payload, static_cast<size_t>(msg->payload_len));
    const std::string_view shown = shortened(all, kPrintedBytes);
    print_line(STDOUT_FILENO, "%s fd %d, %s, %llu bytes: \"%s\"%s",
               msg->opcode == WS_OPCODE_TEXT ? "text" : "binary", client->sockfd,
               libwebsock_peer(client), msg->payload_len, Escaped(shown, '"').text(),
               shown.size() < all.size() ? "..." : "");
    return 0;
}

int cut_off(libwebsock_client_state *client, libwebsock_frame *frame)
{
    print_line(STDERR_FILENO, "error: fd %d, %s: a frame of %llu bytes is too large, closing",
               client->sockfd, libwebsock_peer(client), frame->payload_len);
    Connection::of(client)->drop("a frame of " + std::to_string(frame->payload_len) +
                                 " bytes was too large");
    return 0;
}

} // namespace

void set_default_callbacks(libwebsock_context &context)
{
    context.onopen = print_open;
    context.onmessage = print_message;
    context.onclose = print_close;
    context.onframetoolarge = cut_off;
    context.onlog = default_onlog;
}

} // namespace websock
