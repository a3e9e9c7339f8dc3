/* default_server.c: a server that sets no callbacks. default_test.cpp runs it and reads what
 * it prints. Frames may have at most 1000 bytes. The first line on stdout is its port;
 * SIGTERM ends it. With a key file and a certificate file as arguments it speaks TLS. */
#include <websock/websock.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 1000);
    int bound = argc == 3 ? libwebsock_bind_ssl(ctx, "127.0.0.1", "0", argv[1], argv[2])
                          : libwebsock_bind(ctx, "127.0.0.1", "0");
    if (bound != 0)
        return 1;
    printf("%d\n", libwebsock_port(ctx));
    fflush(stdout);
    int result = libwebsock_wait(ctx);
    libwebsock_free(ctx);
    return result == 0 ? 0 : 2;
}
