/* block.c: /block. A callback that sleeps for three seconds, as one that waits for a
 * database would. It holds up its own client and nobody else: the library has another
 * worker for every other client.
 *
 * Whoever reaches the server may press the button, so one connection gets one sleep, and
 * only so many sleep at once. All of them are over before libwebsock_stop loses patience
 * (drain_timeout_ms). */
#include "block.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define BLOCK_S 3
#define MAX_BLOCKED 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards blocked */
static unsigned blocked;

unsigned block_count(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = blocked;
    pthread_mutex_unlock(&lock);
    return count;
}

/* Says whether there was room for one more. */
static int enter(void)
{
    pthread_mutex_lock(&lock);
    int room = blocked < MAX_BLOCKED;
    blocked += room ? 1 : 0;
    pthread_mutex_unlock(&lock);
    return room;
}

static void leave(void)
{
    pthread_mutex_lock(&lock);
    blocked--;
    pthread_mutex_unlock(&lock);
}

static void sleep_through_signals(void)
{
    struct timespec left = {.tv_sec = BLOCK_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

/* client->data is set once the client has had its sleep. A send fails when the client has
 * gone; the sleep goes on even so. */
static int block_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    (void)msg;
    if (client->data != NULL) {
        return 0;
    }
    client->data = &blocked;
    if (!enter()) {
        char reason[64];
        (void)snprintf(reason, sizeof reason, "%d callbacks are blocked already", MAX_BLOCKED);
        (void)libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, reason);
        return 0;
    }
    (void)libwebsock_send_text(client, "blocked");
    sleep_through_signals();
    leave();
    (void)libwebsock_send_text(client, "done");
    (void)libwebsock_close(client);
    return 0;
}

void block_serve(libwebsock_client_state *client) { client->onmessage = block_onmessage; }
