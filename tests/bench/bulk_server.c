/* bulk_server.c: libwebsock with large messages: bulk_server STYLE FILE. By style, it takes binary
 * messages in parts and answers with their length:
 *   parts         by onpart
 *   slow_parts    the same, and each call of it takes a millisecond
 *   part_session  by a session that calls libwebsock_receive_part
 * or answers each text, a number, with as many bytes of the file by libwebsock_send_file:
 *   file          in onmessage
 *   file_session  in a session
 * Prints "port N" and serves until SIGTERM. */
#include "bulk.h"
#include "work.h"

#include <fcntl.h>
#include <websock/websock.h>

static int file;

static int take_part(libwebsock_client_state *client, libwebsock_part *part)
{
    char text[24];

    if (!bulk_is_right(part->payload, part->len, part->offset)) {
        return libwebsock_close_with_reason(client, WS_CLOSE_POLICY_VIOLATION, "wrong bytes");
    }
    if (!part->fin) {
        return 0;
    }
    snprintf(text, sizeof text, "%llu", part->offset + part->len);
    return libwebsock_send_text(client, text);
}

static int take_part_slowly(libwebsock_client_state *client, libwebsock_part *part)
{
    block_thread(1);
    return take_part(client, part);
}

static int part_session(libwebsock_client_state *client)
{
    libwebsock_part part;

    while (libwebsock_receive_part(client, &part, -1) == 1) {
        take_part(client, &part);
    }
    return 0;
}

static int send_file(libwebsock_client_state *client, libwebsock_message *msg)
{
    return libwebsock_send_file(client, WS_OPCODE_BINARY, file, 0,
                                strtoull(msg->payload, NULL, 10));
}

static int file_session(libwebsock_client_state *client)
{
    libwebsock_message msg;

    while (libwebsock_receive(client, &msg, -1) == 1) {
        send_file(client, &msg);
    }
    return 0;
}

static int set_style(libwebsock_context *ctx, const char *style)
{
    if (strcmp(style, "parts") == 0) {
        ctx->onpart = take_part;
    } else if (strcmp(style, "slow_parts") == 0) {
        ctx->onpart = take_part_slowly;
    } else if (strcmp(style, "part_session") == 0) {
        ctx->onsession = part_session;
    } else if (strcmp(style, "file") == 0) {
        ctx->onmessage = send_file;
    } else if (strcmp(style, "file_session") == 0) {
        ctx->onsession = file_session;
    } else {
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);

    file = argc == 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
    if (!ctx || file == -1 || set_style(ctx, argv[1]) != 0) {
        fprintf(stderr, "usage: %s STYLE FILE\n", argv[0]);
        return 2;
    }
    raise_file_limit();
    ctx->onopen = NULL;
    ctx->onclose = NULL;
    ctx->onlog = NULL;
    if (libwebsock_bind(ctx, "127.0.0.1", "0") != 0) {
        perror("libwebsock_bind");
        return 1;
    }
    say_port(libwebsock_port(ctx));
    if (libwebsock_wait(ctx) != 0) {
        perror("libwebsock_wait");
        return 1;
    }
    libwebsock_free(ctx);
    return 0;
}
