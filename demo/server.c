/* server.c: websock-demo, a server to try libwebsock with in a browser. Options,
 * start and end; what it serves is in routes.c, chat.c, stats.c and page.html.
 * Manual: websock-demo(1). */
#include "chat.h"
#include "routes.h"
#include "stats.h"

#include <websock/websock.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ORIGINS 32

struct options {
    const char *host;
    const char *port;
    size_t max_frame; /* bytes; 0: the library's default */
    const char *origins[MAX_ORIGINS];
    size_t origin_count;
};

enum parsed { RUN, HELP, BAD };

static const char usage[] =
    "usage: websock-demo [--host ADDRESS] [--port PORT] [--max-frame BYTES]\n"
    "                    [--origin URL] [--help]\n"
    "  --host ADDRESS     address or name to listen on (127.0.0.1)\n"
    "  --port PORT        port to listen on; 0 is any free one (8080)\n"
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

/* getopt_long is not POSIX, and four options do not miss it. "--name value" and
 * "--name=value" are the same. Cuts the '=' out of argv. */
static enum parsed parse_options(struct options *options, int argc, char **argv)
{
    static const char *const names[] = {"--host", "--port", "--max-frame", "--origin"};

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
    return RUN;
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
 * here. */
static int print_url(const char *host, int port)
{
    int any = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    int literal_v6 = !any && strchr(host, ':') != NULL;
    printf("websock-demo: open http://%s%s%s:%d/\n", literal_v6 ? "[" : "",
           any ? "localhost" : host, literal_v6 ? "]" : "", port);
    return fflush(stdout);
}

/* For the signal handler; set before it is installed. */
static libwebsock_context *stop_me;

static void on_signal(int signal_number)
{
    (void)signal_number;
    (void)libwebsock_stop(stop_me); /* async-signal-safe */
}

/* libwebsock_wait would catch both signals by itself, but only while it runs: one
 * that comes between the line on stdout and the wait must not kill us. */
static void catch_signals(libwebsock_context *ctx)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    stop_me = ctx;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* Returns 0, or -1: libwebsock_bind has logged why, for the others it is said
 * here. Everything is freed, except when a callback never ended: then what it may
 * still use is left to it, which is also why demo is static. */
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

    if (libwebsock_bind(ctx, options->host, options->port) != 0) {
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
    catch_signals(ctx);
    if (print_url(options->host, libwebsock_port(ctx)) != 0) {
        perror("websock-demo: stdout");
        (void)libwebsock_stop(ctx); /* the wait still drains */
    }
    int failed = libwebsock_wait(ctx);
    if (failed) {
        perror("websock-demo: libwebsock_wait");
    }
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
    ctx->handle_signals = 0; /* see catch_signals */
    int failed = serve(ctx, &options);
    libwebsock_free(ctx);
    return failed ? 1 : 0;
}
