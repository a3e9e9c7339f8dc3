/* wss.c: an echo over TLS that reads its certificate again on SIGHUP. For client
 * certificates or several host names use libwebsock_bind_tls.
 *
 *     wss keyfile certfile port          0 for any free one */
#include <websock/websock.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    return libwebsock_send_fragment(client, msg->payload, (size_t)msg->payload_len,
                                    (int)msg->opcode | WS_FRAGMENT_FIN);
}

static sigset_t signals; /* blocked everywhere; take_signals waits for them */

/* Not a signal handler, since libwebsock_reload_ssl reads files and takes locks. A bad
 * file is logged and changes nothing. */
static void *take_signals(void *ctx)
{
    int number;
    while (sigwait(&signals, &number) == 0 && number == SIGHUP) {
        (void)libwebsock_reload_ssl(ctx); /* for new connections; the others go on */
    }
    (void)libwebsock_stop(ctx);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: wss keyfile certfile port\n", stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads inherit the mask */

    (void)signal(SIGPIPE, SIG_IGN); /* the reader of a pipe may end before us */
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    if (ctx == NULL) {
        return 1;
    }
    ctx->handle_signals = 0; /* take_signals does that */
    ctx->onmessage = onmessage;

    pthread_t thread;
    int failed = libwebsock_bind_ssl(ctx, "127.0.0.1", argv[3], argv[1], argv[2]) ||
                 pthread_create(&thread, NULL, take_signals, ctx);
    if (!failed) {
        printf("wss: wss://127.0.0.1:%d/\n", libwebsock_port(ctx));
        (void)fflush(stdout);
        failed = libwebsock_wait(ctx);
        pthread_kill(thread, SIGTERM); /* in case it has had no signal */
        pthread_join(thread, NULL);
    }
    libwebsock_free(ctx);
    return failed;
}
