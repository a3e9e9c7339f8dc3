// styles.h: servers in the styles of session and onpart, for the tests of hostile clients, and what
// these measure. No test cases.
#pragma once

#include "tests/support/hostile.h"
#include "tests/support/peak_memory.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace test {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = kKiB * kKiB;
inline constexpr size_t kMostMessage = kMiB; // of what is received as a whole

enum Style { session, session_in_parts, onpart };
inline constexpr Style kStyles[] = {session, session_in_parts, onpart};

inline bool in_parts(Style style) { return style != session; }

// What has come of all clients.
struct Seen {
    std::atomic<size_t> parts = 0;
    std::atomic<size_t> bytes = 0;
    std::atomic<size_t> sessions_over = 0;
    std::atomic<size_t> most = SIZE_MAX; // a message in parts may have; more is closed with 1009
};

// Text comes back. Of binary messages, it says how long they were.
inline void answer(libwebsock_client_state *client, unsigned opcode, const char *payload,
                   size_t len)
{
    if (opcode == WS_OPCODE_TEXT)
        libwebsock_send_text_with_length(client, payload, len);
    else
        libwebsock_send_text(client, std::to_string(len).c_str());
}

inline void take_part(Seen &seen, libwebsock_client_state *client, const libwebsock_part &part)
{
    ++seen.parts;
    seen.bytes += part.len;
    const size_t end = part.offset + part.len;
    if (end > seen.most)
        libwebsock_close_with_reason(client, WS_CLOSE_MESSAGE_TOO_BIG, "");
    else if (part.fin != 0 && part.opcode == WS_OPCODE_TEXT && part.offset == 0)
        answer(client, part.opcode, part.payload, part.len);
    else if (part.fin != 0)
        answer(client, WS_OPCODE_BINARY, nullptr, end);
}

inline void serve(Style style, Seen &seen, libwebsock_client_state *client)
{
    libwebsock_message msg{};
    libwebsock_part part{};
    if (style == session)
        while (libwebsock_receive(client, &msg, -1) == 1)
            answer(client, msg.opcode, msg.payload, msg.payload_len);
    else
        while (libwebsock_receive_part(client, &part, -1) == 1)
            take_part(seen, client, part);
    ++seen.sessions_over;
}

inline Behaviour in_style(Style style, Seen &seen,
                          const std::function<void(libwebsock_context *)> &settings = {})
{
    Behaviour behaviour;
    behaviour.settings = [=](libwebsock_context *context) {
        context->max_message_payload = kMostMessage;
        context->compression = 1;
        context->onpong = nullptr;
        context->control_callback = nullptr;
        if (settings)
            settings(context);
    };
    if (style == onpart)
        behaviour.onpart = [&](Scene &, auto *client, auto *part) {
            take_part(seen, client, *part);
        };
    else
        behaviour.onsession = [&, style](Scene &, auto *client) { serve(style, seen, client); };
    return behaviour;
}

inline std::string repeated(const std::string &bytes, size_t count)
{
    std::string all;
    all.reserve(bytes.size() * count);
    for (size_t i = 0; i < count; ++i)
        all += bytes;
    return all;
}

// Waits until a client's onclose was called, and with a session until that has returned, too.
inline Event wait_for_end(Server &server, Style style, const Seen &seen, size_t count = 1)
{
    const Event close = server.events().wait(Kind::close, count);
    if (style != onpart)
        CHECK(seen.sessions_over >= count);
    return close;
}

} // namespace test
