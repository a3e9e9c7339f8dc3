// dump_frame.cpp, for libwebsock_dump_frame(3): what people read: a frame as a line, and the
// version.
#include "api/checked.h"
#include "base/standard_streams.h"

#include <cstdio>
#include <string>
#include <unistd.h>
#include <websock/websock.h>

using namespace websock;

namespace {

std::string text_of(const libwebsock_frame &frame)
{
    char piece[64];
    (void)std::snprintf(piece, sizeof piece, "fin %u, opcode 0x%x, payload_len %llu", frame.fin,
                        frame.opcode, frame.payload_len);
    std::string text(piece);
    for (unsigned long long i = 0; frame.payload && i < frame.payload_len; ++i) {
        (void)std::snprintf(piece, sizeof piece, "%s%02x", i == 0 ? ": " : " ",
                            static_cast<unsigned>(static_cast<unsigned char>(frame.payload[i])));
        text += piece;
    }
    return text += '\n';
}

} // namespace

extern "C" {

int libwebsock_dump_frame(const libwebsock_frame *frame)
{
    return checked([&] {
        if (!frame)
            return EINVAL;
        print_text(STDERR_FILENO, text_of(*frame));
        return 0;
    });
}

const char *libwebsock_version_string(void)
{
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
    return TEXT(LIBWEBSOCK_VERSION_MAJOR) "." TEXT(LIBWEBSOCK_VERSION_MINOR) "." TEXT(
        LIBWEBSOCK_VERSION_PATCH);
}

} // extern "C"
