// retain.cpp, for libwebsock_retain(3): handles that outlive their connection, and whose they are.
#include "api/checked.h"
#include "connection/connection.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

libwebsock_client_state *libwebsock_retain(libwebsock_client_state *client)
{
    if (client)
        Connection::of(client)->retain();
    return client;
}

void libwebsock_release(libwebsock_client_state *client)
{
    if (client)
        Connection::of(client)->release();
}

const char *libwebsock_peer(const libwebsock_client_state *client)
{
    return checked([&] { return client ? 0 : EINVAL; }) == 0 ? Connection::of(client)->name()
                                                             : nullptr;
}

const libwebsock_request *libwebsock_client_request(const libwebsock_client_state *client)
{
    return checked([&] { return client ? 0 : EINVAL; }) == 0
               ? Connection::of(client)->public_request()
               : nullptr;
}

int libwebsock_is_open(const libwebsock_client_state *client)
{
    return client && Connection::of(client)->outbox().state() == Outbox::State::open ? 1 : 0;
}

int libwebsock_gone_fd(libwebsock_client_state *client)
{
    int fd = -1;
    (void)checked([&] { return client ? Connection::of(client)->gone_fd(fd) : EINVAL; });
    return fd;
}

void libwebsock_set_data(libwebsock_client_state *client, void *data, void (*free_data)(void *))
{
    if (client)
        Connection::of(client)->set_data(data, free_data);
}

} // extern "C"
