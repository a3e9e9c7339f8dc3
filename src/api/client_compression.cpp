// client_compression.cpp, for libwebsock_client_compression(3): what was agreed with a client about
// compression, and what that has saved.
#include "api/checked.h"
#include "connection/connection.h"

#include <algorithm>
#include <cstring>
#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_client_compression(libwebsock_client_state *client,
                                  libwebsock_compression_info *info)
{
    return checked([&] {
        if (!client || !info || info->size < sizeof info->size)
            return EINVAL;
        libwebsock_compression_info all{};
        all.size = info->size;
        if (!Connection::of(client)->compression_info(all))
            return ENOENT;
        std::memcpy(info, &all, std::min(info->size, sizeof all));
        return 0;
    });
}

} // extern "C"
