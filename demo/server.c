/* server.c: websock-demo, a server to try libwebsock with in a browser. Start and end;
 * the command line is in options.c, and what is served begins in routes.c. Manual:
 * websock-demo(1). */
#include "chat.h"
#include "cluster.h"
#include "options.h"
#include "prices.h"
#include "routes.h"
#include "stats.h"

#include <websock/websock.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* What the system holds of a client that does not read is out of date when it reads on. */
#define SEND_BUFFER_BYTES ((size_t)64 << 10)

/* The default one hangs up without a word; this one says what would have fitted.
 * When it returns, the connection is closed. */
static int onframetoolarge(libwebsock_client_state *client, libwebsock_frame *frame)
{
    const struct demo *demo = client->ctx->user_data;
    char reason[100];
    (void)snprintf(reason, sizeof reason, "a frame of %llu bytes; at most %llu are allowed",
                   frame->payload_len, demo->max_frame);
    (void)libwebsock_close_with_reason(client, WS_CLOSE_MESSAGE_TOO_BIG, reason);
    return 0;
}

/* The one line on stdout: whoever starts the demo with --port 0 reads the port
 * here. A server without a stdout goes on without it. */
static void print_url(const struct options *options, int port)
{
    const char *host = options->host;
    int any = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    int literal_v6 = !any && strchr(host, ':') != NULL;
    printf("websock-demo: open %s://%s%s%s:%d/\n", options->certfile != NULL ? "https" : "http",
           literal_v6 ? "[" : "", any ? "localhost" : host, literal_v6 ? "]" : "", port);
    if (fflush(stdout) != 0) {
        perror("websock-demo: stdout");
    }
}

/* Blocked in every thread, for one to take: none kills us between the line on stdout and
 * the wait, and libwebsock_reload_ssl, which reads files and takes locks, may not be
 * called in a signal handler. Set before any thread starts. */
static sigset_t signals;

static void block_signals(const struct options *options)
{
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (options->certfile != NULL) {
        sigaddset(&signals, SIGHUP);
    }
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads inherit it */
}

static void *take_signals(void *arg)
{
    libwebsock_context *ctx = arg;
    int signal_number;
    while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP) {
        if (libwebsock_reload_ssl(ctx) == 0) { /* else it has logged why */
            fputs("websock-demo: certificates were read again\n", stderr);
        }
    }
    (void)libwebsock_stop(ctx);
    return NULL;
}

/* libwebsock_bind and libwebsock_bind_ssl_real log what is wrong when they fail. */
static int bind_server(libwebsock_context *ctx, const struct options *options)
{
    if (options->certfile == NULL) {
        return libwebsock_bind(ctx, options->host, options->port);
    }
    return libwebsock_bind_ssl_real(ctx, options->host, options->port, options->keyfile,
                                    options->certfile, options->chainfile);
}

/* Returns 0, or -1 when it has said why. */
static int run(libwebsock_context *ctx, const struct options *options)
{
    pthread_t signal_thread;
    errno = pthread_create(&signal_thread, NULL, take_signals, ctx);
    if (errno != 0) {
        perror("websock-demo: pthread_create");
        return -1;
    }
    print_url(options, libwebsock_port(ctx));
    int failed = libwebsock_wait(ctx);
    if (failed) {
        perror("websock-demo: libwebsock_wait");
    }
    (void)pthread_kill(signal_thread, SIGTERM); /* if it has taken none itself */
    (void)pthread_join(signal_thread, NULL);    /* before libwebsock_free: it uses ctx */
    return failed;
}

/* Returns 0, or -1 with errno when nothing of it has been started. */
static int start_topics(libwebsock_context *ctx, const char *node)
{
    if (chat_start(ctx, node) != 0) {
        return -1;
    }
    if (prices_start(ctx, node) != 0) {
        chat_stop();
        return -1;
    }
    return 0;
}

/* Returns 0, or -1 when it has been said why. Everything is freed, except when a
 * callback never ended: then what it may still use is left to it, which is also why
 * demo is static. */
static int serve(libwebsock_context *ctx, const struct options *options)
{
    static struct demo demo;
    demo.origins = options->origins;
    demo.origin_count = options->origin_count;
    demo.max_frame = ctx->max_frame_payload;
    demo.max_file = options->max_file;
    demo.node = options->node;

    ctx->user_data = &demo;
    ctx->onrequest = demo_onrequest; /* sets the other callbacks, client by client */
    ctx->onopen = NULL;              /* the default ones print */
    ctx->onmessage = NULL;
    ctx->onclose = NULL;
    ctx->onframetoolarge = onframetoolarge;

    if (options->redis != NULL && cluster_join(ctx, options->redis) != 0) {
        return -1;
    }
    if (bind_server(ctx, options) != 0) {
        return -1;
    }
    demo.feed = stats_feed_start(ctx);
    if (demo.feed == NULL || start_topics(ctx, options->node) != 0) {
        perror("websock-demo");
        stats_feed_stop(demo.feed);
        stats_feed_free(demo.feed);
        return -1;
    }
    int failed = run(ctx, options);
    prices_stop();
    chat_stop();
    stats_feed_stop(demo.feed);
    if (!failed) {
        stats_feed_free(demo.feed);
    }
    return failed;
}

int main(int argc, char **argv)
{
    static struct options options = {
        .host = "127.0.0.1", .port = "8080", .max_file = (size_t)256 << 20};
    switch (options_parse(&options, argc, argv)) {
    case PARSED_HELP:
        return 0;
    case PARSED_BAD:
        return 2;
    case PARSED_RUN:
        break;
    }
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, options.max_frame);
    if (ctx == NULL) {
        perror("websock-demo: libwebsock_init");
        return 1;
    }
    if (options.send_timeout_ms > 0) {
        ctx->send_timeout_ms = options.send_timeout_ms;
    }
    ctx->compression = !options.no_compression;
    ctx->send_buffer_bytes = SEND_BUFFER_BYTES;
    (void)signal(SIGPIPE, SIG_IGN); /* who reads what we print may end before we do */
    ctx->handle_signals = 0;        /* take_signals does */
    block_signals(&options);        /* before the first thread starts */
    int failed = serve(ctx, &options);
    libwebsock_free(ctx);
    return failed ? 1 : 0;
}
