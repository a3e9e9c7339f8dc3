// requests.h: how opening handshakes are tried. Each request is parsed without sockets, cut
// in two in every way, and sent whole, in two pieces and byte by byte. After a 101 a message
// must be echoed; after a refusal the connection must end. The requests themselves are in
// handshake_cases.cpp.
#pragma once

#include "tests/support/wire.h"

#include <string>
#include <vector>

namespace conformance {

struct Request {
    std::string section;
    std::string sentence;
    std::string bytes;
    std::string status = "101 Switching Protocols";
    std::vector<std::string> lines = {}; // more lines that the answer must have
    std::string accept = test::kAccept;  // 101: Sec-WebSocket-Accept
    bool is_valid = false;               // though refused: onrequest gives the status
};

// The server's onrequest: at /chat it accepts the subprotocol "chat.v2" or else "chat.v1", if
// offered; at /forbidden it returns 403, at /missing 404. Any other path is as without it.
// compression: ctx->compression.
void try_requests(const std::vector<Request> &requests, bool compression = false);

} // namespace conformance
