// session.h: what the tests of sessions share: what a receive came to, as text, and an echo.
#pragma once

#include "tests/support/server.h"

#include <cerrno>
#include <string>

namespace test {

// What receive came to: the text, or what it returned and errno.
inline std::string received(libwebsock_client_state *client, int timeout_ms = -1)
{
    libwebsock_message msg{};
    const int result = libwebsock_receive(client, &msg, timeout_ms);
    if (result == 1)
        return std::string(msg.payload, static_cast<size_t>(msg.payload_len));
    return result == 0 ? "closed" : "error " + std::to_string(errno);
}

inline std::string error(int number) { return "error " + std::to_string(number); }

inline void echo_until_closed(Scene &, libwebsock_client_state *client)
{
    libwebsock_message msg{};
    while (libwebsock_receive(client, &msg, -1) == 1) {
        if (msg.opcode == WS_OPCODE_TEXT)
            libwebsock_send_text_with_length(client, msg.payload, msg.payload_len);
        else
            libwebsock_send_binary(client, msg.payload, msg.payload_len);
    }
}

} // namespace test
