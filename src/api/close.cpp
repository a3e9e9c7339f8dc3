// close.cpp, for libwebsock_close(3): ending a connection.
#include "api/checked.h"
#include "base/utf8.h"
#include "connection/connection.h"
#include "protocol/frame.h"

#include <string_view>
#include <websock/websock.h>

using namespace websock;

namespace {

int close_with(libwebsock_client_state *client, unsigned code, const char *reason)
{
    const std::string_view text = reason ? reason : "";
    if (!client || code > 0xffff || !is_sendable_close_code(static_cast<uint16_t>(code)))
        return EINVAL;
    if (!is_valid_utf8(bytes_of(text.data(), text.size())))
        return EILSEQ;
    return Connection::of(client)->close(static_cast<uint16_t>(code), text);
}

} // namespace

extern "C" {

int libwebsock_close(libwebsock_client_state *client)
{
    return checked([&] { return close_with(client, WS_CLOSE_NORMAL, nullptr); });
}

int libwebsock_close_with_reason(libwebsock_client_state *client, unsigned short code,
                                 const char *reason)
{
    return checked([&] { return close_with(client, code, reason); });
}

int libwebsock_abort(libwebsock_client_state *client, const char *why)
{
    return checked([&] {
        if (!client)
            return EINVAL;
        const std::string_view text = why ? why : "aborted by the program";
        if (!is_valid_utf8(bytes_of(text.data(), text.size())))
            return EILSEQ;
        Connection &connection = *Connection::of(client);
        if (connection.outbox().state() == Outbox::State::ended)
            return ENOTCONN;
        connection.abandon(text, By::program);
        return 0;
    });
}

} // extern "C"
