/* quickstart.c: the smallest server, as README.md shows it. It sends every
 * message back as text to whoever sent it; every check that a real program would
 * make is in echo.c. */
#include <websock/websock.h>

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    return libwebsock_send_text_with_length(client, msg->payload, msg->payload_len);
}

int main(void)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 1024);  /* largest frame payload, bytes */
    ctx->onmessage = onmessage;
    libwebsock_bind(ctx, "0.0.0.0", "1234");
    return libwebsock_wait(ctx) == -1;
}
