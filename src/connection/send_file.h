// send_file.h: a file as one message, read while it leaves.
#pragma once

#include "protocol/frame.h"

#include <cstdint>

namespace websock {

class Connection;

struct FileMessage {
    Opcode opcode;
    bool may_compress;
    int fd;
    uint64_t offset;
    uint64_t len;
};

// 0 or an errno value; see libwebsock_send_file. Waits while the peer does not read. Throws
// std::bad_alloc with nothing sent.
int send_file(Connection &connection, const FileMessage &message);

} // namespace websock
