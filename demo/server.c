/* server.c: websock-demo, a server to try libwebsock with in a browser. Options,
 * start and end; what it serves is in routes.c, chat.c, stats.c, metrics.c and
 * page.html. Manual: websock-demo(1). */
#include "chat.h"
#include "routes.h"
#include "stats.h"

#include <websock/websock.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ORIGINS 32

struct options {
    const char *host;
    const char *port;
    const char *certfile; /* with keyfile, or NULL: no TLS */
    const char *keyfile;
    const char *chainfile; /* NULL: certfile has the whole chain */
    size_t max_frame; /* bytes; 0: the library's default */
    const char *origins[MAX_ORIGINS];
    size_t origin_count;
};

enum parsed { RUN, HELP, BAD };

static const char usage[] =
    "usage: websock-demo [--host ADDRESS] [--port PORT] [--cert FILE --key FILE]\n"
    "                    [--chain FILE] [--max-frame BYTES] [--origin URL] [--help]\n"
    "  --host ADDRESS     address or name to listen on (127.0.0.1)\n"
    "  --port PORT        port to listen on; 0 is any free one (8080)\n"
    "  --cert FILE        speak TLS, with this certificate (PEM); SIGHUP reads it again\n"
    "  --key FILE         the certificate's private key (PEM)\n"
    "  --chain FILE       certificates between it and its root, if --cert lacks them\n"
    "  --max-frame BYTES  largest payload of one frame (16777216)\n"
    "  --origin URL       let pages of this origin connect too; may be repeated\n";

static int parse_size(const char *text, size_t *size)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') { /* strtoull would take " -1" */
        return -1;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value == 0 || value > SIZE_MAX / 2) {
        return -1;
    }
    *size = (size_t)value;
    return 0;
}

static enum parsed bad(const char *what, const char *text)
{
    fprintf(stderr, "websock-demo: %s: %s\n%s", what, text, usage);
    return BAD;
}

static enum parsed parse_option(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--host") == 0) {
        options->host = value;
    } else if (strcmp(name, "--port") == 0) {
        options->port = value;
    } else if (strcmp(name, "--cert") == 0) {
        options->certfile = value;
    } else if (strcmp(name, "--key") == 0) {
        options->keyfile = value;
    } else if (strcmp(name, "--chain") == 0) {
        options->chainfile = value;
    } else if (strcmp(name, "--max-frame") == 0) {
        if (parse_size(value, &options->max_frame) != 0) {
            return bad("not a number of bytes", value);
        }
    } else {
        if (strstr(value, "://") == NULL) {
            return bad("not an origin like https://example.org", value);
        }
        if (options->origin_count == MAX_ORIGINS) {
            return bad("too many origins", value);
        }
        options->origins[options->origin_count++] = value;
    }
    return RUN;
}

static enum parsed check_tls_files(const struct options *options)
{
    if (options->certfile != NULL && options->keyfile == NULL) {
        return bad("option missing", "--key, for --cert");
    }
    if (options->certfile == NULL && options->keyfile != NULL) {
        return bad("option missing", "--cert, for --key");
    }
    if (options->certfile == NULL && options->chainfile != NULL) {
        return bad("option missing", "--cert and --key, for --chain");
    }
    return RUN;
}

/* getopt_long is not POSIX, and so few options do not miss it. "--name value" and
 * "--name=value" are the same. Cuts the '=' out of argv. */
static enum parsed parse_options(struct options *options, int argc, char **argv)
{
    static const char *const names[] = {"--host",  "--port",      "--cert",  "--key",
                                        "--chain", "--max-frame", "--origin"};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return HELP;
        }
        char *value = strchr(argv[i], '=');
        if (value != NULL) {
            *value++ = '\0';
        }
        size_t known = 0;
        while (known < sizeof names / sizeof names[0] && strcmp(argv[i], names[known]) != 0) {
            known++;
        }
        if (known == sizeof names / sizeof names[0]) {
            return bad("unknown option", argv[i]);
        }
        if (value == NULL && (value = argv[++i]) == NULL) {
            return bad("value missing", names[known]);
        }
        enum parsed result = parse_option(options, names[known], value);
        if (result != RUN) {
            return result;
        }
    }
    return check_tls_files(options);
}

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

/* Returns 0, or -1 when it has been said why. Everything is freed, except when a
 * callback never ended: then what it may still use is left to it, which is also why
 * demo is static. */
static int serve(libwebsock_context *ctx, const struct options *options)
{
    static struct demo demo;
    demo.origins = options->origins;
    demo.origin_count = options->origin_count;
    demo.max_frame = ctx->max_frame_payload;

    ctx->user_data = &demo;
    ctx->onrequest = demo_onrequest; /* sets the other callbacks, client by client */
    ctx->onopen = NULL;              /* the default ones print */
    ctx->onmessage = NULL;
    ctx->onclose = NULL;
    ctx->onframetoolarge = onframetoolarge;

    if (bind_server(ctx, options) != 0) {
        return -1;
    }
    demo.room = chat_room_new();
    demo.feed = stats_feed_start(ctx);
    if (demo.room == NULL || demo.feed == NULL) {
        perror("websock-demo");
        stats_feed_stop(demo.feed);
        stats_feed_free(demo.feed);
        chat_room_free(demo.room);
        return -1;
    }
    int failed = run(ctx, options);
    stats_feed_stop(demo.feed);
    if (!failed) {
        stats_feed_free(demo.feed);
        chat_room_free(demo.room);
    }
    return failed;
}

int main(int argc, char **argv)
{
    static struct options options = {.host = "127.0.0.1", .port = "8080"};
    enum parsed parsed = parse_options(&options, argc, argv);
    if (parsed == HELP) {
        fputs(usage, stdout);
        return 0;
    }
    if (parsed == BAD) {
        return 2;
    }
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, options.max_frame);
    if (ctx == NULL) {
        perror("websock-demo: libwebsock_init");
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* who reads what we print may end before we do */
    ctx->handle_signals = 0; /* take_signals does */
    block_signals(&options); /* before the first thread starts */
    int failed = serve(ctx, &options);
    libwebsock_free(ctx);
    return failed ? 1 : 0;
}
