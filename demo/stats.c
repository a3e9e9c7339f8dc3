/* stats.c: once a second one thread sends a JSON line with the figures of
 * libwebsock_stats to each client of /stats.
 *
 * The list of clients is copied, each handle retained, before anything is sent:
 * no lock is held while a send waits, so clients come and go meanwhile. One that
 * does not read delays the others' next line by send_timeout_ms, once, after
 * thousands of lines that the kernel took for it; then it is dropped. That will do
 * for figures. chat.c shows what to do where it will not. */
#include "stats.h"

#include "block.h"
#include "clock.h"
#include "slow.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define INTERVAL_S 1

struct stats_feed {
    libwebsock_context *ctx;
    struct timespec started;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* stopping is set */
    int stopping;
    libwebsock_client_state **clients; /* each retained */
    size_t count, capacity;
};

/* The figures, the same for all, and how this client's connection is secured. Returns
 * the length of the line, or -1. */
static int figures(const struct stats_feed *feed, const libwebsock_client_state *client, char *line,
                   size_t size)
{
    const libwebsock_tls_info *tls = libwebsock_client_tls(client); /* NULL: it is not */
    libwebsock_statistics now = {.size = sizeof now};
    char slow_readers[1024];
    if (libwebsock_stats(feed->ctx, &now) != 0 ||
        slow_describe(slow_readers, sizeof slow_readers) < 0) {
        return -1;
    }
    return snprintf(line, size,
                    "{\"connections\":%llu,\"accepted\":%llu,\"refused\":%llu,"
                    "\"messages_in\":%llu,\"messages_out\":%llu,"
                    "\"bytes_in\":%llu,\"bytes_out\":%llu,"
                    "\"events_queued\":%llu,\"workers\":%llu,\"workers_busy\":%llu,"
                    "\"send_timeouts\":%llu,\"blocked\":%u,\"slow_readers\":%s,"
                    "\"uptime_s\":%.3f,\"tls\":\"%s\",\"cipher\":\"%s\"}",
                    now.connections_open, now.connections_accepted, now.connections_refused,
                    now.messages_in, now.messages_out, now.bytes_in, now.bytes_out,
                    now.events_queued, now.workers, now.workers_busy, now.send_timeouts,
                    block_count(), slow_readers, seconds_since(&feed->started),
                    tls != NULL ? tls->version : "", tls != NULL ? tls->cipher : "");
}

/* Fails when the client is going, which onclose will tell. */
static void send_figures(const struct stats_feed *feed, libwebsock_client_state *client)
{
    char line[2048];
    int len = figures(feed, client, line, sizeof line);
    if (len > 0 && (size_t)len < sizeof line) {
        (void)libwebsock_send_text_with_length(client, line, (size_t)len);
    }
}

/* The caller holds the lock. Returns a copy of the list for release_all, or NULL
 * when it is empty or memory is short: then this second is left out. */
static libwebsock_client_state **retain_all(const struct stats_feed *feed, size_t *count)
{
    *count = 0;
    libwebsock_client_state **copy = malloc(feed->count * sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < feed->count; i++) {
        copy[i] = libwebsock_retain(feed->clients[i]);
    }
    *count = feed->count;
    return copy;
}

/* Returns 0 when it is time, 1 when the feed is stopping. The caller holds the
 * lock. */
static int wait_until(struct stats_feed *feed, const struct timespec *deadline)
{
    int error = 0;
    while (!feed->stopping && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&feed->wake, &feed->lock, deadline);
    }
    return feed->stopping;
}

/* A round of sends that took longer than a second is not made up for. */
static void skip_past(struct timespec *deadline)
{
    if (seconds_since(deadline) > INTERVAL_S) {
        clock_gettime(CLOCK_MONOTONIC, deadline);
    }
}

static void *run(void *arg)
{
    struct stats_feed *feed = arg;
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);

    pthread_mutex_lock(&feed->lock);
    for (;;) {
        deadline.tv_sec += INTERVAL_S;
        if (wait_until(feed, &deadline)) {
            break;
        }
        size_t count;
        libwebsock_client_state **clients = retain_all(feed, &count);
        pthread_mutex_unlock(&feed->lock);
        for (size_t i = 0; i < count; i++) {
            send_figures(feed, clients[i]);
            libwebsock_release(clients[i]);
        }
        free(clients);
        skip_past(&deadline);
        pthread_mutex_lock(&feed->lock);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

/* The caller holds the lock. Returns 0, or -1: ENOMEM. */
static int add(struct stats_feed *feed, libwebsock_client_state *client)
{
    if (feed->count == feed->capacity) {
        size_t capacity = feed->capacity == 0 ? 16 : 2 * feed->capacity;
        libwebsock_client_state **clients = realloc(feed->clients, capacity * sizeof *clients);
        if (clients == NULL) {
            return -1;
        }
        feed->clients = clients;
        feed->capacity = capacity;
    }
    feed->clients[feed->count++] = libwebsock_retain(client);
    return 0;
}

static int stats_onopen(libwebsock_client_state *client)
{
    struct stats_feed *feed = client->data;
    send_figures(feed, client); /* not a blank second */
    pthread_mutex_lock(&feed->lock);
    int failed = add(feed, client);
    pthread_mutex_unlock(&feed->lock);
    if (failed) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "out of memory");
    }
    return 0;
}

static int stats_onclose(libwebsock_client_state *client)
{
    struct stats_feed *feed = client->data;
    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < feed->count; i++) {
        if (feed->clients[i] == client) {
            feed->clients[i] = feed->clients[--feed->count];
            libwebsock_release(client);
            break;
        }
    }
    pthread_mutex_unlock(&feed->lock);
    return 0;
}

/* On the monotonic clock, so that setting the time neither stops the feed nor
 * makes it catch up. */
static int init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error == 0) {
        error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (error == 0) {
            error = pthread_cond_init(wake, &attributes);
        }
        pthread_condattr_destroy(&attributes);
    }
    return error;
}

struct stats_feed *stats_feed_start(libwebsock_context *ctx)
{
    struct stats_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return NULL;
    }
    feed->ctx = ctx;
    clock_gettime(CLOCK_MONOTONIC, &feed->started);
    int error = init_wake(&feed->wake);
    if (error == 0) {
        (void)pthread_mutex_init(&feed->lock, NULL); /* never fails on the systems we know */
        error = pthread_create(&feed->thread, NULL, run, feed);
    }
    if (error != 0) {
        free(feed);
        errno = error;
        return NULL;
    }
    return feed;
}

void stats_feed_stop(struct stats_feed *feed)
{
    if (feed == NULL) {
        return;
    }
    pthread_mutex_lock(&feed->lock);
    feed->stopping = 1;
    pthread_cond_signal(&feed->wake);
    pthread_mutex_unlock(&feed->lock);
    pthread_join(feed->thread, NULL);
}

void stats_feed_free(struct stats_feed *feed)
{
    if (feed != NULL) {
        pthread_mutex_destroy(&feed->lock);
        pthread_cond_destroy(&feed->wake);
        free(feed->clients);
        free(feed);
    }
}

void stats_serve(struct stats_feed *feed, libwebsock_client_state *client)
{
    client->data = feed;
    client->onopen = stats_onopen;
    client->onclose = stats_onclose;
}
