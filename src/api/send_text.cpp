// send_text.cpp, for libwebsock_send_text(3): messages, fragments and pings for one client.
#include "api/checked.h"
#include "base/utf8.h"
#include "connection/connection.h"
#include "protocol/frame.h"

#include <cstring>
#include <websock/websock.h>

using namespace websock;

static_assert(WS_FRAGMENT_FIN == 0x80);

namespace {

int send_message(libwebsock_client_state *client, Opcode opcode, const void *data, size_t len,
                 bool may_compress = true)
{
    if (!client || !is_memory(data, len))
        return EINVAL;
    const std::span<const uint8_t> payload = bytes_of(data, len);
    if (opcode == Opcode::text && !is_valid_utf8(payload))
        return EILSEQ;
    return Connection::of(client)->outbox().send(true, opcode, payload, may_compress);
}

int send_control(Connection &connection, Opcode opcode, std::span<const uint8_t> payload)
{
    if (payload.size() > kMaxControlPayload)
        return EINVAL;
    if (opcode != Opcode::close)
        return connection.outbox().send(true, opcode, payload, false);
    const ClosePayload close = parse_close(payload);
    return close.ok ? connection.close(close.code, close.reason) : EINVAL;
}

int send_fragment(libwebsock_client_state *client, const void *data, size_t len, int flags)
{
    if (!client || !is_memory(data, len) ||
        (flags & ~(WS_FRAGMENT_FIN | LIBWEBSOCK_UNCOMPRESSED | 0xf)) != 0)
        return EINVAL;
    Connection &connection = *Connection::of(client);
    const bool fin = (flags & WS_FRAGMENT_FIN) != 0;
    const bool may_compress = (flags & LIBWEBSOCK_UNCOMPRESSED) == 0;
    switch (flags & 0xf) {
    case WS_OPCODE_CONTINUE:
    case WS_OPCODE_TEXT:
    case WS_OPCODE_BINARY: {
        const Opcode opcode = static_cast<Opcode>(flags & 0xf);
        if (fin && opcode == Opcode::text)
            return send_message(client, opcode, data, len, may_compress);
        return connection.outbox().send(fin, opcode, bytes_of(data, len), may_compress);
    }
    case WS_OPCODE_CLOSE:
    case WS_OPCODE_PING:
    case WS_OPCODE_PONG:
        return fin ? send_control(connection, static_cast<Opcode>(flags & 0xf), bytes_of(data, len))
                   : EINVAL;
    default:
        return EINVAL;
    }
}

} // namespace

extern "C" {

int libwebsock_send_text(libwebsock_client_state *client, const char *text)
{
    return checked([&] {
        return text ? send_message(client, Opcode::text, text, std::strlen(text)) : EINVAL;
    });
}

int libwebsock_send_text_with_length(libwebsock_client_state *client, const char *text, size_t len)
{
    return checked([&] { return send_message(client, Opcode::text, text, len); });
}

int libwebsock_send_binary(libwebsock_client_state *client, const void *data, size_t len)
{
    return checked([&] { return send_message(client, Opcode::binary, data, len); });
}

int libwebsock_send_fragment(libwebsock_client_state *client, const void *data, size_t len,
                             int flags)
{
    return checked([&] { return send_fragment(client, data, len, flags); });
}

int libwebsock_ping(libwebsock_client_state *client)
{
    return checked([&] {
        return client ? Connection::of(client)->outbox().send(true, Opcode::ping, {}, false)
                      : EINVAL;
    });
}

} // extern "C"
