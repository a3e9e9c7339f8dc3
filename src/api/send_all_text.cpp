// send_all_text.cpp, for libwebsock_send_all_text(3): one message for every client.
#include "api/checked.h"
#include "base/utf8.h"
#include "protocol/message.h"
#include "server/context.h"

#include <cstring>
#include <websock/websock.h>

using namespace websock;

namespace {

int send_to_all(libwebsock_context *ctx, Opcode opcode, const void *data, size_t len)
{
    if (!ctx || !is_memory(data, len))
        return EINVAL;
    const std::span<const uint8_t> payload = bytes_of(data, len);
    if (opcode == Opcode::text && !is_valid_utf8(payload))
        return EILSEQ;
    const Message::Content content{
        .opcode = opcode, .payload = payload, .id = {}, .key = {}, .publisher = 0};
    return Context::of(ctx)->send_all(content);
}

} // namespace

extern "C" {

int libwebsock_send_all_text(libwebsock_context *ctx, const char *text)
{
    return checked(
        [&] { return text ? send_to_all(ctx, Opcode::text, text, std::strlen(text)) : EINVAL; });
}

int libwebsock_send_all_binary(libwebsock_context *ctx, const void *data, size_t len)
{
    return checked([&] { return send_to_all(ctx, Opcode::binary, data, len); });
}

} // extern "C"
