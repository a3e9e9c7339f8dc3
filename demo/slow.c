/* slow.c: /slow. Sends 64 MiB to whoever comes, in one callback. When the client does not
 * read, the buffers between the two fill up and libwebsock_send_binary waits, and with it
 * this callback, and nobody else. A client that takes nothing for send_timeout_ms is dropped.
 *
 * Whoever reaches the server may come, so only a few are served at once. */
#include "slow.h"

#include "clock.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define SLOW_BYTES ((size_t)64 << 20) /* much more than all buffers on the way */
#define MAX_READERS 8

struct reader {
    unsigned long long id; /* 0: nobody */
    size_t sent;           /* bytes */
    struct timespec since; /* the last send returned, CLOCK_MONOTONIC */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct reader readers[MAX_READERS];
static unsigned long long last_id;

/* Returns the place, which is the caller's until leave, or NULL: all are taken. */
static struct reader *enter(void)
{
    struct reader *free_one = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MAX_READERS && free_one == NULL; i++) {
        if (readers[i].id == 0) {
            free_one = &readers[i];
            free_one->id = ++last_id;
            free_one->sent = 0;
            clock_gettime(CLOCK_MONOTONIC, &free_one->since);
        }
    }
    pthread_mutex_unlock(&lock);
    return free_one;
}

static void has_sent(struct reader *reader, size_t sent)
{
    pthread_mutex_lock(&lock);
    reader->sent = sent;
    clock_gettime(CLOCK_MONOTONIC, &reader->since);
    pthread_mutex_unlock(&lock);
}

static void leave(struct reader *reader)
{
    pthread_mutex_lock(&lock);
    reader->id = 0;
    pthread_mutex_unlock(&lock);
}

/* Tells the client its id, which it finds in the figures of /stats, and what will come. */
static int send_greeting(libwebsock_client_state *client, const struct reader *reader)
{
    char text[128];
    int len = snprintf(text, sizeof text, "{\"id\":%llu,\"bytes\":%zu,\"send_timeout_ms\":%d}",
                       reader->id, SLOW_BYTES, client->ctx->send_timeout_ms);
    return libwebsock_send_text_with_length(client, text, (size_t)len);
}

/* Returns 0, or -1: the client has left, or was dropped. */
static int send_everything(libwebsock_client_state *client, struct reader *reader)
{
    static const char zeros[65536];
    size_t sent = 0;
    if (send_greeting(client, reader) != 0) {
        return -1;
    }
    while (sent < SLOW_BYTES) {
        if (libwebsock_send_binary(client, zeros, sizeof zeros) != 0) {
            return -1;
        }
        sent += sizeof zeros;
        has_sent(reader, sent);
    }
    return 0;
}

static int slow_onopen(libwebsock_client_state *client)
{
    struct reader *reader = enter();
    if (reader == NULL) {
        char reason[64];
        (void)snprintf(reason, sizeof reason, "%d slow readers are here already", MAX_READERS);
        (void)libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, reason);
        return 0;
    }
    int failed = send_everything(client, reader);
    leave(reader);
    if (!failed) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_NORMAL, "that was all");
    }
    return 0;
}

int slow_describe(char *text, size_t size)
{
    size_t len = 0;
    const char *between = "[";
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MAX_READERS && len < size; i++) {
        if (readers[i].id != 0) {
            len += (size_t)snprintf(
                text + len, size - len, "%s{\"id\":%llu,\"sent_bytes\":%zu,\"waiting_s\":%.3f}",
                between, readers[i].id, readers[i].sent, seconds_since(&readers[i].since));
            between = ",";
        }
    }
    pthread_mutex_unlock(&lock);
    if (len < size) {
        len += (size_t)snprintf(text + len, size - len, "%s]", len == 0 ? "[" : "");
    }
    return len < size ? (int)len : -1;
}

void slow_serve(libwebsock_client_state *client)
{
    client->onopen = slow_onopen;
    /* 64 MiB of zeros would become 64 KB, for which all buffers on the way have room. */
    (void)libwebsock_refuse_compression(client);
}
