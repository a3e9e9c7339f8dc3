// client_tls.cpp, for libwebsock_client_tls(3): what the TLS handshake has settled with a client.
#include "api/checked.h"
#include "connection/connection.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

const libwebsock_tls_info *libwebsock_client_tls(const libwebsock_client_state *client)
{
    const libwebsock_tls_info *info = nullptr;
    (void)checked([&] {
        if (!client)
            return EINVAL;
        info = Connection::of(client)->public_tls();
        return info ? 0 : ENOENT;
    });
    return info;
}

} // extern "C"
