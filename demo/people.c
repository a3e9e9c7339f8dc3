/* people.c: how many people are in a room, for those who are there. It is a topic of its own: of
 * several counts, only the newest matters.
 * With other nodes, each publishes how many it has, under its name as the key, so that whoever
 * comes gets the newest count of each node. One that has crashed cannot say that its people have
 * gone. So all say theirs again every 2 seconds, and the page forgets a node that is silent. */
#include "people.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN_S 2
#define KEPT_MS (3 * AGAIN_S * 1000) /* of a node that is silent */
#define MAX_NODES 64
#define MAX_TOPIC 80

struct room {
    struct room *next;
    char topic[MAX_TOPIC];
};

static const char *this_node; /* of this node, or NULL; set before any thread starts */
static pthread_t repeater;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; see publish */
static pthread_cond_t wake;
static struct room *rooms; /* with people on this node; empty if this_node is NULL */
static int stopping;

/* Returns the count. Called with the lock, so that the count that comes last is right. */
static size_t publish(libwebsock_context *ctx, const char *topic)
{
    char text[128];
    size_t count = libwebsock_topic_subscribers(ctx, topic);
    libwebsock_publication people = {.size = sizeof people, .topic = topic, .key = this_node};
    int len =
        this_node != NULL
            ? snprintf(text, sizeof text, "{\"type\":\"people\",\"node\":\"%s\",\"count\":%zu}",
                       this_node, count)
            : snprintf(text, sizeof text, "{\"type\":\"people\",\"count\":%zu}", count);
    people.payload = text;
    people.payload_len = (size_t)len;
    if (count > 0 || this_node != NULL) {
        (void)libwebsock_publish(ctx, &people); /* if it fails, the next one will tell */
    }
    return count;
}

/* Called with the lock. Without memory, the room's count is not said again. */
static void remember(const char *topic)
{
    struct room *room = rooms;
    while (room != NULL && strcmp(room->topic, topic) != 0) {
        room = room->next;
    }
    if (room == NULL && (room = malloc(sizeof *room)) != NULL) {
        (void)snprintf(room->topic, sizeof room->topic, "%s", topic);
        room->next = rooms;
        rooms = room;
    }
}

/* Called with the lock. A room is forgotten once it has been said that nobody is there. */
static void publish_all(libwebsock_context *ctx)
{
    struct room **at = &rooms;
    while (*at != NULL) {
        struct room *room = *at;
        if (publish(ctx, room->topic) > 0) {
            at = &room->next;
            continue;
        }
        *at = room->next;
        free(room);
    }
}

static void *repeat(void *ctx)
{
    struct timespec at;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        publish_all(ctx);
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += AGAIN_S;
        while (!stopping && pthread_cond_timedwait(&wake, &lock, &at) == 0) {
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void topic_of(const char *room, char topic[MAX_TOPIC])
{
    (void)snprintf(topic, MAX_TOPIC, "people:%s", room);
}

int people_enter(libwebsock_client_state *client, const char *room)
{
    char topic[MAX_TOPIC];
    libwebsock_subscription all = {.size = sizeof all, .history = SIZE_MAX};
    topic_of(room, topic);
    if (libwebsock_subscribe(client, topic, this_node != NULL ? &all : NULL) != 0) {
        return -1;
    }
    pthread_mutex_lock(&lock);
    if (this_node != NULL) {
        remember(topic);
    }
    (void)publish(client->ctx, topic);
    pthread_mutex_unlock(&lock);
    return 0;
}

void people_leave(libwebsock_client_state *client, const char *room)
{
    char topic[MAX_TOPIC];
    topic_of(room, topic);
    pthread_mutex_lock(&lock);
    (void)publish(client->ctx, topic);
    pthread_mutex_unlock(&lock);
}

static int start_repeater(libwebsock_context *ctx)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    errno = pthread_create(&repeater, NULL, repeat, ctx);
    return errno == 0 ? 0 : -1;
}

int people_start(libwebsock_context *ctx, const char *node)
{
    libwebsock_topic_options options = {sizeof options, 1, 0, 60 * 60 * 1000,
                                        LIBWEBSOCK_BEHIND_SKIP};
    if (node != NULL) {
        options.history_messages = MAX_NODES;
        options.history_ms = KEPT_MS;
    }
    if (libwebsock_configure_topics(ctx, "people:", &options) != 0) {
        return -1;
    }
    this_node = node;
    return node != NULL ? start_repeater(ctx) : 0;
}

void people_stop(void)
{
    if (this_node == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    stopping = 1;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    (void)pthread_join(repeater, NULL);
    while (rooms != NULL) {
        struct room *room = rooms;
        rooms = room->next;
        free(room);
    }
}
