/* default_server.c: a server that sets no callback at all, for default_test.cpp, which
 * runs it and reads what it prints. Frames may have 1000 bytes. Its first line on
 * stdout is its port; SIGTERM ends it. */
#include <websock/websock.h>

#include <stdio.h>

int main(void)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 1000);
    if (ctx == NULL || libwebsock_bind(ctx, "127.0.0.1", "0") != 0)
        return 1;
    printf("%d\n", libwebsock_port(ctx));
    fflush(stdout);
    int result = libwebsock_wait(ctx);
    libwebsock_free(ctx);
    return result == 0 ? 0 : 2;
}
