// ending.h: how one connection ended. The connection's thread fills it in, at the line that decides
// it. connection_end.cpp makes what onclose and the log are told of it.
#pragma once

#include "connection/registry.h"

#include <string>
#include <websock/websock.h>

namespace websock {

struct Ending {
    enum By : uint8_t {
        us,         // refused, failed or cut off here
        peer_close, // the peer's Close frame; its code and reason are in close_info
        peer_gone,  // the peer, without a Close frame
    };

    By by = us;
    bool peer_is_told = false; // of the reason; it gets time to read it before the socket closes
    Registry::Refused refused = Registry::Refused::gone; // if it never became a client
    int log_level = LIBWEBSOCK_LOG_INFO;
    std::string reason{}; // unless by peer_close
    libwebsock_close_info close_info{};
};

} // namespace websock
