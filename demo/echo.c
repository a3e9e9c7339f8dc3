/* echo.c: a small complete server: its own onopen, onmessage and onclose, every
 * result checked, a clean end on SIGINT or SIGTERM. websock-demo (server.c) is the
 * larger example.
 *
 *     echo [port]        default 1234, 0 for any free one */
#include <websock/websock.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int onopen(libwebsock_client_state *client)
{
    printf("%s: open\n", libwebsock_peer(client));
    return 0;
}

/* Text goes back as text and binary as binary. A send that fails needs no
 * clean-up here: the connection is ending, and onclose will say why. */
static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    size_t len = (size_t)msg->payload_len;
    if (msg->opcode == WS_OPCODE_BINARY) {
        (void)libwebsock_send_binary(client, msg->payload, len);
    } else {
        (void)libwebsock_send_text_with_length(client, msg->payload, len);
    }
    return 0;
}

/* The reason is text that the peer chose: to print it to a terminal, escape it
 * first. The code is enough here. */
static int onclose(libwebsock_client_state *client)
{
    printf("%s: closed, %d\n", libwebsock_peer(client), client->close_info->code);
    return 0;
}

/* When libwebsock_bind fails it has already logged why. */
static int serve(libwebsock_context *ctx, const char *port)
{
    if (libwebsock_bind(ctx, "127.0.0.1", port) != 0) {
        return -1;
    }
    printf("echo: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
    if (libwebsock_wait(ctx) != 0) { /* until SIGINT or SIGTERM */
        fprintf(stderr, "echo: libwebsock_wait: %s\n", strerror(errno));
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0); /* 0: frames up to 16 MiB */
    if (ctx == NULL) {
        fprintf(stderr, "echo: libwebsock_init: %s\n", strerror(errno));
        return 1;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* print each line at once, even to a pipe */
    (void)signal(SIGPIPE, SIG_IGN);         /* the reader of a pipe may end before us */

    ctx->onopen = onopen;
    ctx->onmessage = onmessage;
    ctx->onclose = onclose;
    ctx->onframetoolarge = NULL; /* the default one hangs up without a word; NULL sends 1009 */
    int failed = serve(ctx, argc > 1 ? argv[1] : "1234");
    libwebsock_free(ctx);
    return failed != 0;
}
