// send_file.cpp, for libwebsock_send_file(3): a file as one message.
#include "connection/send_file.h"
#include "api/checked.h"
#include "connection/connection.h"

#include <websock/websock.h>

using namespace websock;

extern "C" {

int libwebsock_send_file(libwebsock_client_state *client, unsigned int opcode, int fd,
                         unsigned long long offset, unsigned long long len)
{
    return checked([&] {
        const unsigned kind = opcode & ~static_cast<unsigned>(LIBWEBSOCK_UNCOMPRESSED);
        if (!client || (kind != WS_OPCODE_TEXT && kind != WS_OPCODE_BINARY))
            return EINVAL;
        const FileMessage message{.opcode = static_cast<Opcode>(kind),
                                  .may_compress = kind == opcode,
                                  .fd = fd,
                                  .offset = offset,
                                  .len = len};
        return send_file(*Connection::of(client), message);
    });
}

} // extern "C"
