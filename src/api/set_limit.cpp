// set_limit.cpp, for libwebsock_set_limit(3): limits of one client.
#include "api/checked.h"
#include "connection/connection.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_set_limit(libwebsock_client_state *client, int which, unsigned long long n)
{
    return checked([&] { return client ? Connection::of(client)->set_limit(which, n) : EINVAL; });
}

} // extern "C"
