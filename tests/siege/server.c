/* server.c: libwebsock under siege: server [NAME=VALUE]..., where NAME is a setting of
 * libwebsock_context or one of those in be_told below. The path that a client asks for decides
 * what it gets. Prints "port N". "go" on stdin starts sending to all; at the end of stdin it
 * prints the cost of that as a line of JSON, and waits to be killed. */
#include <websock/websock.h>

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FRAGMENTED = 4096, FRAGMENT_EVERY_MS = 20 };

static struct told {
    const char *key, *cert, *ciphersuites; /* for TLS; plain without a key */
    long broadcast_bytes;                  /* of one message to all; 0: none is sent */
    long broadcast_count;                  /* this many at once */
    long broadcast_every_ms;
    long keep_log;  /* nonzero: the default onlog; else none */
    long spare_mib; /* of addresses, from "go" on, so that threads run out; 0: as many as there are
                     */
    long default_callbacks; /* nonzero: those that print, except onmessage */
} told = {NULL, NULL, NULL, 0, 1, 1, 0, 0, 0};

/* Guards figures and fragmented. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    double send_all_began; /* 0: none is running */
    double send_all_worst; /* seconds */
    long sent;
} figures;
static struct {
    libwebsock_client_state *clients[MOST_FRAGMENTED]; /* retained */
    size_t count;
} fragmented;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_us(long us)
{
    struct timespec time;

    time.tv_sec = us / 1000000;
    time.tv_nsec = us % 1000000 * 1000;
    nanosleep(&time, NULL);
}

static int has_path(libwebsock_client_state *client, const char *path)
{
    return strcmp(libwebsock_client_request(client)->path, path) == 0;
}

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (has_path(client, "/block")) { /* the query says how long, in microseconds */
        sleep_us(atol(libwebsock_client_request(client)->query));
        return 0;
    }
    if (has_path(client, "/close")) {
        return libwebsock_close(client);
    }
    if (has_path(client, "/sink")) {
        return 0;
    }
    if (has_path(client, "/chat")) {
        return libwebsock_send_all_binary(client->ctx, msg->payload, (size_t)msg->payload_len);
    }
    return libwebsock_send_text_with_length(client, msg->payload, (size_t)msg->payload_len);
}

static int onopen(libwebsock_client_state *client)
{
    if (has_path(client, "/fragments")) {
        pthread_mutex_lock(&mutex);
        if (fragmented.count < MOST_FRAGMENTED) {
            fragmented.clients[fragmented.count++] = libwebsock_retain(client);
        }
        pthread_mutex_unlock(&mutex);
    }
    return 0;
}

/* Sends each of them one message that never ends, a byte at a time. */
static void *send_fragments(void *unused)
{
    size_t begun = 0;

    for (;;) {
        size_t i, count;

        pthread_mutex_lock(&mutex);
        count = fragmented.count; /* entries before it no longer change */
        pthread_mutex_unlock(&mutex);
        for (i = 0; i < count; i++) {
            libwebsock_send_fragment(fragmented.clients[i], "x", 1,
                                     i < begun ? WS_OPCODE_CONTINUE : WS_OPCODE_TEXT);
        }
        begun = count;
        sleep_us(FRAGMENT_EVERY_MS * 1000L);
    }
    return unused;
}

static void send_to_all(libwebsock_context *ctx, const char *message)
{
    double took;

    pthread_mutex_lock(&mutex);
    figures.send_all_began = now();
    pthread_mutex_unlock(&mutex);
    libwebsock_send_all_binary(ctx, message, (size_t)told.broadcast_bytes);
    pthread_mutex_lock(&mutex);
    took = now() - figures.send_all_began;
    figures.send_all_began = 0;
    figures.send_all_worst = took > figures.send_all_worst ? took : figures.send_all_worst;
    figures.sent++;
    pthread_mutex_unlock(&mutex);
}

static void *broadcast(void *ctx)
{
    char *message = calloc(1, (size_t)told.broadcast_bytes);
    long i;

    for (;;) {
        for (i = 0; i < told.broadcast_count; i++) {
            send_to_all(ctx, message);
        }
        sleep_us(told.broadcast_every_ms * 1000);
    }
    return message;
}

static void start(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, argument) != 0) {
        fputs("server: no thread\n", stderr);
        exit(1);
    }
    pthread_detach(thread);
}

static void report(void)
{
    double worst;

    pthread_mutex_lock(&mutex);
    worst = figures.send_all_worst;
    if (figures.send_all_began > 0 && now() - figures.send_all_began > worst) {
        worst = now() - figures.send_all_began;
    }
    printf("{\"send_all_ms\": %.3f, \"sent\": %ld}\n", worst * 1e3, figures.sent);
    fflush(stdout);
    pthread_mutex_unlock(&mutex);
}

/* A worker needs this much for its stack, a client's thread little. */
static void run_short_of_addresses(void)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL || fscanf(file, "%lu", &pages) != 1) {
        fputs("server: /proc/self/statm cannot be read\n", stderr);
        exit(1);
    }
    fclose(file);
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)told.spare_mib * 1024 * 1024;
    limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        perror("setrlimit");
    }
}

static void *listen_to_stdin(void *ctx)
{
    char line[16];

    while (fgets(line, sizeof line, stdin) != NULL) {
        start(send_fragments, NULL);
        if (told.broadcast_bytes > 0) {
            start(broadcast, ctx);
        }
        if (told.spare_mib > 0) {
            run_short_of_addresses();
        }
    }
    report();
    return NULL;
}

enum kind { INT, SIZE, LONG, TEXT };

static int set(void *base, const char *name, const char *value, const char *field, enum kind kind,
               size_t offset)
{
    char *at = (char *)base + offset;

    if (strcmp(name, field) != 0) {
        return 0;
    }
    switch (kind) {
    case INT:
        *(int *)(void *)at = atoi(value);
        break;
    case SIZE:
        *(size_t *)(void *)at = (size_t)strtoull(value, NULL, 10);
        break;
    case LONG:
        *(long *)(void *)at = atol(value);
        break;
    case TEXT:
        *(const char **)(void *)at = value;
        break;
    }
    return 1;
}

#define SETTING(kind, field)                                                                       \
    set(ctx, name, value, #field, kind, offsetof(libwebsock_context, field))
#define TOLD(kind, field) set(&told, name, value, #field, kind, offsetof(struct told, field))

static int be_told(libwebsock_context *ctx, const char *name, const char *value)
{
    return SETTING(INT, handshake_timeout_ms) || SETTING(INT, idle_timeout_ms) ||
           SETTING(INT, message_timeout_ms) || SETTING(INT, send_timeout_ms) ||
           SETTING(INT, close_timeout_ms) || SETTING(INT, concurrent_events) ||
           SETTING(SIZE, max_connections) || SETTING(SIZE, max_workers) ||
           SETTING(SIZE, max_frame_payload) || SETTING(SIZE, max_message_payload) ||
           SETTING(SIZE, max_handshake_bytes) || SETTING(SIZE, max_queued_bytes) ||
           TOLD(TEXT, key) || TOLD(TEXT, cert) || TOLD(TEXT, ciphersuites) ||
           TOLD(LONG, broadcast_bytes) || TOLD(LONG, broadcast_count) ||
           TOLD(LONG, broadcast_every_ms) || TOLD(LONG, keep_log) || TOLD(LONG, spare_mib) ||
           TOLD(LONG, default_callbacks);
}

static void parse(libwebsock_context *ctx, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (value != NULL) {
            *value++ = '\0';
        }
        if (value == NULL || !be_told(ctx, argv[i], value)) {
            fprintf(stderr, "server: what is %s?\n", argv[i]);
            exit(2);
        }
    }
}

static int bind_it(libwebsock_context *ctx)
{
    libwebsock_tls_options options;

    if (told.key == NULL) {
        return libwebsock_bind(ctx, "127.0.0.1", "0");
    }
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.keyfile = told.key;
    options.certfile = told.cert;
    options.ciphersuites = told.ciphersuites;
    return libwebsock_bind_tls(ctx, "127.0.0.1", "0", &options);
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* otherwise it makes do with fewer */
    }
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);

    if (ctx == NULL) {
        perror("libwebsock_init");
        return 1;
    }
    raise_file_limit();
    parse(ctx, argc, argv);
    ctx->onmessage = onmessage;
    if (!told.default_callbacks) {
        ctx->onopen = onopen;
        ctx->onclose = NULL;
        ctx->onframetoolarge = NULL;
    }
    if (!told.keep_log) {
        ctx->onlog = NULL;
    }
    if (bind_it(ctx) != 0) {
        perror("libwebsock_bind");
        return 1;
    }
    printf("port %d\n", libwebsock_port(ctx));
    fflush(stdout);
    start(listen_to_stdin, ctx);
    if (libwebsock_wait(ctx) != 0) {
        perror("libwebsock_wait");
        return 1;
    }
    libwebsock_free(ctx);
    return 0;
}
