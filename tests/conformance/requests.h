// requests.h: opening handshakes, and how they are tried: each request is parsed, without
// sockets, in every way it can be cut in two, and sent whole, in two and byte by byte.
// Behind a 101 a message must come back; behind a refusal the end must come. The requests
// themselves are in handshake_cases.cpp.
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
    std::vector<std::string> lines = {}; // further ones that the answer must have
    std::string accept = test::kAccept;  // 101: Sec-WebSocket-Accept
};

// The server's hook: /chat speaks the subprotocols "chat.v2" and "chat.v1", the first one
// of these that is offered; all else is as without a hook.
void try_requests(const std::vector<Request> &requests);

} // namespace conformance
