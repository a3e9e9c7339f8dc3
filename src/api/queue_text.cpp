// queue_text.cpp, for libwebsock_queue_text(3): sending to one client without waiting.
#include "api/checked.h"
#include "base/utf8.h"
#include "connection/connection.h"

#include <websock/websock.h>

using namespace websock;

namespace {

int queue(libwebsock_client_state *client, Opcode opcode, const void *data, size_t len)
{
    if (!client || !is_memory(data, len))
        return EINVAL;
    const std::span<const uint8_t> payload = bytes_of(data, len);
    if (opcode == Opcode::text && !is_valid_utf8(payload))
        return EILSEQ;
    return Connection::of(client)->outbox().queue(opcode, payload);
}

} // namespace

extern "C" {

int libwebsock_queue_text(libwebsock_client_state *client, const char *text, size_t len)
{
    return checked([&] { return queue(client, Opcode::text, text, len); });
}

int libwebsock_queue_binary(libwebsock_client_state *client, const void *data, size_t len)
{
    return checked([&] { return queue(client, Opcode::binary, data, len); });
}

size_t libwebsock_queued_bytes(const libwebsock_client_state *client)
{
    return client ? Connection::of(client)->outbox().queued() : 0;
}

} // extern "C"
