/* echo_server.c: the server that is measured: it echoes, and does nothing else. Prints
 * "port N" and serves until SIGTERM. With a number as its argument each callback first
 * blocks for so many milliseconds; with a key's and a certificate's file behind it, it
 * speaks TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <websock/websock.h>

static struct timespec pause_for;

static int echo(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT) {
        return libwebsock_send_text_with_length(client, msg->payload, (size_t)msg->payload_len);
    }
    return libwebsock_send_binary(client, msg->payload, (size_t)msg->payload_len);
}

static int pause_and_echo(libwebsock_client_state *client, libwebsock_message *msg)
{
    nanosleep(&pause_for, NULL);
    return echo(client, msg);
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    int blocks_ms = argc > 1 ? atoi(argv[1]) : 0;

    if (!ctx) {
        perror("libwebsock_init");
        return 1;
    }
    pause_for.tv_nsec = blocks_ms * 1000000L;
    ctx->onopen = NULL;
    ctx->onclose = NULL;
    ctx->onframetoolarge = NULL;
    ctx->onlog = NULL;
    ctx->onmessage = blocks_ms > 0 ? pause_and_echo : echo;
    if ((argc > 3 ? libwebsock_bind_ssl(ctx, "127.0.0.1", "0", argv[2], argv[3])
                  : libwebsock_bind(ctx, "127.0.0.1", "0")) != 0) {
        perror("libwebsock_bind");
        return 1;
    }
    printf("port %d\n", libwebsock_port(ctx));
    fflush(stdout);
    if (libwebsock_wait(ctx) != 0) {
        perror("libwebsock_wait");
        return 1;
    }
    libwebsock_free(ctx);
    return 0;
}
