// api.cpp: the extern "C" functions: check the arguments, delegate, turn the result
// into -1 and errno. No exception gets past here, and nothing else is done here.
#include "base/standard_streams.h"
#include "connection/connection.h"
#include "protocol/frame.h"
#include "server/context.h"
#include "server/statistics.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <unistd.h>
#include <websock/websock.h>

using namespace websock;

static_assert(WS_FRAGMENT_FIN == 0x80);

namespace {

// Runs f, which returns an errno value, and returns what C callers get.
template<class F> int checked(F f) noexcept
{
    int error = 0;
    try {
        error = f();
    } catch (const std::exception &) {
        error = ENOMEM; // std::bad_alloc, or std::length_error: more than there can be
    }
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

std::span<const uint8_t> bytes_of(const void *data, size_t len)
{
    return {static_cast<const uint8_t *>(data), len};
}

// Whether it can be memory of the caller's. No object is larger than PTRDIFF_MAX, and with a
// header before it that is still a size.
bool is_memory(const void *data, size_t len) { return (data || len == 0) && len <= PTRDIFF_MAX; }

int send_message(libwebsock_client_state *client, Opcode opcode, const void *data, size_t len)
{
    if (!client || !is_memory(data, len))
        return EINVAL;
    const std::span<const uint8_t> payload = bytes_of(data, len);
    if (opcode == Opcode::text && !is_valid_utf8(payload))
        return EILSEQ;
    return Connection::of(client)->outbox().send(true, opcode, payload);
}

int send_to_all(libwebsock_context *ctx, Opcode opcode, const void *data, size_t len)
{
    if (!ctx || !is_memory(data, len))
        return EINVAL;
    const std::span<const uint8_t> payload = bytes_of(data, len);
    if (opcode == Opcode::text && !is_valid_utf8(payload))
        return EILSEQ;
    std::vector<uint8_t> frame(kMaxServerHeader + len);
    const size_t header_len = encode_header(frame.data(), true, opcode, len);
    if (len > 0)
        std::memcpy(frame.data() + header_len, data, len);
    return Context::of(ctx)->send_all(std::span(frame).first(header_len + len));
}

int send_control(Connection &connection, Opcode opcode, std::span<const uint8_t> payload)
{
    if (payload.size() > kMaxControlPayload)
        return EINVAL;
    if (opcode != Opcode::close)
        return connection.outbox().send(true, opcode, payload);
    const ClosePayload close = parse_close(payload);
    return close.ok ? connection.close(close.code, close.reason) : EINVAL;
}

int send_fragment(libwebsock_client_state *client, const void *data, size_t len, int flags)
{
    if (!client || !is_memory(data, len) || (flags & ~(WS_FRAGMENT_FIN | 0xf)) != 0)
        return EINVAL;
    Connection &connection = *Connection::of(client);
    const bool fin = (flags & WS_FRAGMENT_FIN) != 0;
    switch (flags & 0xf) {
    case WS_OPCODE_CONTINUE:
    case WS_OPCODE_TEXT:
    case WS_OPCODE_BINARY: {
        const Opcode opcode = static_cast<Opcode>(flags & 0xf);
        if (fin && opcode == Opcode::text)
            return send_message(client, opcode, data, len);
        return connection.outbox().send(fin, opcode, bytes_of(data, len));
    }
    case WS_OPCODE_CLOSE:
    case WS_OPCODE_PING:
    case WS_OPCODE_PONG:
        return fin ? send_control(connection, static_cast<Opcode>(flags & 0xf), bytes_of(data, len))
                   : EINVAL;
    default:
        return EINVAL;
    }
}

int close_with(libwebsock_client_state *client, unsigned code, const char *reason)
{
    const std::string_view text = reason ? reason : "";
    if (!client || code > 0xffff || !is_sendable_close_code(static_cast<uint16_t>(code)))
        return EINVAL;
    if (!is_valid_utf8(bytes_of(text.data(), text.size())))
        return EILSEQ;
    return Connection::of(client)->close(static_cast<uint16_t>(code), text);
}

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

libwebsock_context *libwebsock_init(void *base, void *flags, size_t max_frame_payload)
{
    Context *context = nullptr;
    const auto make = [&] {
        if (base || flags)
            return EINVAL;
        context = new Context(max_frame_payload);
        return 0;
    };
    return checked(make) == 0 ? context->handle() : nullptr;
}

int libwebsock_bind(libwebsock_context *ctx, const char *host, const char *port)
{
    return checked([&] { return ctx && port ? Context::of(ctx)->bind(host, port) : EINVAL; });
}

int libwebsock_bind_ssl(libwebsock_context *ctx, const char *host, const char *port,
                        const char *keyfile, const char *certfile)
{
    return libwebsock_bind_ssl_real(ctx, host, port, keyfile, certfile, nullptr);
}

int libwebsock_bind_ssl_real(libwebsock_context *ctx, const char *host, const char *port,
                             const char *keyfile, const char *certfile, const char *chainfile)
{
    libwebsock_tls_options options{};
    options.size = sizeof options;
    options.keyfile = keyfile;
    options.certfile = certfile;
    options.chainfile = chainfile;
    return libwebsock_bind_tls(ctx, host, port, &options);
}

int libwebsock_bind_tls(libwebsock_context *ctx, const char *host, const char *port,
                        const libwebsock_tls_options *options)
{
    return checked([&] {
        return ctx && port && options ? Context::of(ctx)->bind_tls(host, port, *options) : EINVAL;
    });
}

int libwebsock_reload_ssl(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->reload_tls() : EINVAL; });
}

int libwebsock_bind_socket(libwebsock_context *ctx, int fd)
{
    return checked([&] { return ctx ? Context::of(ctx)->bind_socket(fd) : EINVAL; });
}

int libwebsock_port(const libwebsock_context *ctx)
{
    int port = -1;
    const auto ask = [&] {
        if (!ctx)
            return EINVAL;
        port = Context::of(ctx)->port();
        return port < 0 ? ENOTCONN : 0;
    };
    return checked(ask) == 0 ? port : -1;
}

int libwebsock_wait(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->wait() : EINVAL; });
}

int libwebsock_stop(libwebsock_context *ctx)
{
    return checked([&] { return ctx ? Context::of(ctx)->stop() : EINVAL; });
}

void libwebsock_free(libwebsock_context *ctx)
{
    (void)checked([&] {
        if (ctx && Context::of(ctx)->end())
            delete Context::of(ctx);
        return 0;
    });
}

int libwebsock_stats(libwebsock_context *ctx, libwebsock_statistics *out)
{
    return checked([&] {
        if (!ctx || !out || out->size < sizeof out->size)
            return EINVAL;
        write_statistics(Context::of(ctx)->engine(), *out);
        return 0;
    });
}

int libwebsock_send_text(libwebsock_client_state *client, const char *text)
{
    return checked([&] {
        return text ? send_message(client, Opcode::text, text, std::strlen(text)) : EINVAL;
    });
}

int libwebsock_send_text_with_length(libwebsock_client_state *client, const char *text, size_t len)
{
    return checked([&] { return send_message(client, Opcode::text, text, len); });
}

int libwebsock_send_binary(libwebsock_client_state *client, const void *data, size_t len)
{
    return checked([&] { return send_message(client, Opcode::binary, data, len); });
}

int libwebsock_send_fragment(libwebsock_client_state *client, const void *data, size_t len,
                             int flags)
{
    return checked([&] { return send_fragment(client, data, len, flags); });
}

int libwebsock_ping(libwebsock_client_state *client)
{
    return checked([&] {
        return client ? Connection::of(client)->outbox().send(true, Opcode::ping, {}) : EINVAL;
    });
}

int libwebsock_send_all_text(libwebsock_context *ctx, const char *text)
{
    return checked(
        [&] { return text ? send_to_all(ctx, Opcode::text, text, std::strlen(text)) : EINVAL; });
}

int libwebsock_send_all_binary(libwebsock_context *ctx, const void *data, size_t len)
{
    return checked([&] { return send_to_all(ctx, Opcode::binary, data, len); });
}

int libwebsock_close(libwebsock_client_state *client)
{
    return checked([&] { return close_with(client, WS_CLOSE_NORMAL, nullptr); });
}

int libwebsock_close_with_reason(libwebsock_client_state *client, unsigned short code,
                                 const char *reason)
{
    return checked([&] { return close_with(client, code, reason); });
}

libwebsock_client_state *libwebsock_retain(libwebsock_client_state *client)
{
    if (client)
        Connection::of(client)->retain();
    return client;
}

void libwebsock_release(libwebsock_client_state *client)
{
    if (client)
        Connection::of(client)->release();
}

const char *libwebsock_peer(const libwebsock_client_state *client)
{
    return checked([&] { return client ? 0 : EINVAL; }) == 0 ? Connection::of(client)->name()
                                                             : nullptr;
}

const libwebsock_request *libwebsock_client_request(const libwebsock_client_state *client)
{
    return checked([&] { return client ? 0 : EINVAL; }) == 0
               ? Connection::of(client)->public_request()
               : nullptr;
}

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

const char *libwebsock_request_header(const libwebsock_request *request, const char *name)
{
    const char *value = nullptr;
    (void)checked([&] {
        if (!request || !name)
            return EINVAL;
        value = static_cast<const Request *>(request->priv)->header(name);
        return value ? 0 : ENOENT;
    });
    return value;
}

int libwebsock_accept_protocol(libwebsock_client_state *client, const char *name)
{
    return checked([&] {
        if (!client || !name)
            return EINVAL;
        Connection &connection = *Connection::of(client);
        return connection.hook().accept_protocol(connection.request(), name);
    });
}

int libwebsock_add_response_header(libwebsock_client_state *client, const char *name,
                                   const char *value)
{
    return checked([&] {
        return client && name && value ? Connection::of(client)->hook().add_header(name, value)
                                       : EINVAL;
    });
}

int libwebsock_respond(libwebsock_client_state *client, int status, const char *content_type,
                       const void *body, size_t len)
{
    return checked([&] {
        if (!client || !is_memory(body, len))
            return EINVAL;
        const std::string_view text(static_cast<const char *>(body), len);
        return Connection::of(client)->hook().respond(status, content_type ? content_type : "",
                                                      text);
    });
}

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
