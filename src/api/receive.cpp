// receive.cpp, for libwebsock_receive(3): what a session asks for.
#include "api/checked.h"
#include "connection/connection.h"

#include <cerrno>
#include <websock/websock.h>

using namespace websock;

namespace {

// 1, 0 or -1, as the functions return it. fill is given what has come.
template<class Fill>
int receive(libwebsock_client_state *client, bool in_parts, int timeout_ms, const Fill &fill)
{
    const Event *event = nullptr;
    const int result =
        checked([&] { return Connection::of(client)->receive(in_parts, event, timeout_ms); });
    if (result != 0 || !event)
        return result;
    fill(*event);
    return 1;
}

int invalid()
{
    errno = EINVAL;
    return -1;
}

} // namespace

extern "C" {

int libwebsock_receive(libwebsock_client_state *client, libwebsock_message *msg, int timeout_ms)
{
    if (!client || !msg)
        return invalid();
    return receive(client, false, timeout_ms, [&](const Event &event) {
        *msg = {.opcode = static_cast<unsigned>(event.opcode),
                .payload_len = event.payload_len,
                .payload = reinterpret_cast<char *>(event.payload)};
    });
}

int libwebsock_receive_part(libwebsock_client_state *client, libwebsock_part *part, int timeout_ms)
{
    if (!client || !part)
        return invalid();
    return receive(client, true, timeout_ms, [&](const Event &event) {
        *part = {.opcode = static_cast<unsigned>(event.opcode),
                 .offset = event.payload_len,
                 .len = event.part_len,
                 .payload = reinterpret_cast<char *>(event.payload),
                 .fin = event.fin ? 1 : 0};
    });
}

int libwebsock_wake(libwebsock_client_state *client)
{
    return checked([&] { return client ? Connection::of(client)->wake() : EINVAL; });
}

} // extern "C"
