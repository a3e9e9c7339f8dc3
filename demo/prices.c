/* prices.c: /prices. 500 instruments, each with about 10 updates a second while anybody has
 * subscribed. Each instrument is a topic that keeps one message: all updates have the same key,
 * so that a new one replaces the one before. A client that reads fast gets all of them. One that
 * does not read costs nothing, and gets the newest price of each instrument when it reads on.
 * From an update's number a client can tell how many were replaced before it got them.
 * Each node of a cluster has prices of its own, in topics of its own. */
#include "prices.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define INSTRUMENTS 500
#define TICKS 10 /* make a round; at each one a tenth of the instruments is updated */
#define MAX_TOPIC 64
#define MAX_READERS 32 /* of an instrument: anybody may come, and all of them are much to send */

static const struct timespec TICK = {.tv_nsec = 10000000};
static unsigned long long numbers[INSTRUMENTS]; /* of the last updates; the publisher's, as is */
static double moved[INSTRUMENTS];               /* how far a price is from where it began */
static const char *this_node = "";              /* of this node; set before any thread starts */
static pthread_t publisher;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;   /* one of these is set: */
static int wanted, stopping;

static void topic_of(const char *instrument, char topic[MAX_TOPIC])
{
    (void)snprintf(topic, MAX_TOPIC, "price:%s:%.4s", this_node, instrument);
}

/* Returns how many have subscribed. */
static size_t publish_one(libwebsock_context *ctx, unsigned i)
{
    static const struct timespec zero;
    static unsigned random = 1;
    char topic[MAX_TOPIC], instrument[16], text[128];
    random = random * 1103515245U + 12345U;
    moved[i] = moved[i] * 0.999 + (double)(random >> 16 & 1023) / 10230 - 0.05;
    (void)snprintf(instrument, sizeof instrument, "X%03u", i);
    topic_of(instrument, topic);
    int len =
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"number\":%llu,\"price\":%.2f,\"ms\":%.0f}",
                 instrument, ++numbers[i], 50 + i + moved[i], 1000 * seconds_since(&zero));
    libwebsock_publication update = {.size = sizeof update, .topic = topic, .key = "price"};
    update.payload = text;
    update.payload_len = (size_t)len;
    (void)libwebsock_publish(ctx, &update); /* if it fails, the next one will tell more */
    return libwebsock_topic_subscribers(ctx, topic);
}

/* Takes TICKS times TICK. Returns how many subscriptions there are. What is late is not made up
 * for: that would be two updates of an instrument at once. */
static size_t publish_round(libwebsock_context *ctx)
{
    size_t subscriptions = 0;
    for (unsigned tick = 0; tick < TICKS; tick++) {
        for (unsigned i = tick; i < INSTRUMENTS; i += TICKS) {
            subscriptions += publish_one(ctx, i);
        }
        (void)nanosleep(&TICK, NULL);
    }
    return subscriptions;
}

/* wanted is set after a subscription has begun: the round that overlooks it is not the last. */
static void *run(void *ctx)
{
    pthread_mutex_lock(&lock);
    while (!stopping) {
        if (!wanted) {
            pthread_cond_wait(&wake, &lock);
            continue;
        }
        wanted = 0;
        pthread_mutex_unlock(&lock);
        int subscribed = publish_round(ctx) > 0;
        pthread_mutex_lock(&lock);
        wanted |= subscribed;
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void set(int *flag)
{
    pthread_mutex_lock(&lock);
    *flag = 1;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

/* A subscription begins with the newest price. */
static int prices_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    libwebsock_subscription newest = {.size = sizeof newest, .history = 1};
    char topic[MAX_TOPIC], *rest = NULL;
    (void)libwebsock_unsubscribe(client, NULL); /* from what it wanted before */
    for (char *at = strtok_r(msg->payload, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
        int known = strspn(at, "X") == 1 && at[1] <= '4' && strspn(at + 1, "0123456789") == 3;
        topic_of(at, topic);
        if (!known || at[4] || libwebsock_topic_subscribers(client->ctx, topic) >= MAX_READERS) {
            return libwebsock_close_with_reason(client, WS_CLOSE_POLICY_VIOLATION,
                                                "no such instrument, or it has enough readers");
        }
        /* Fails if it is named twice, which does not matter. */
        if (libwebsock_subscribe(client, topic, &newest) != 0 && errno == EAGAIN) {
            return libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER,
                                                "there are no prices at the moment");
        }
    }
    set(&wanted);
    return 0;
}

int prices_start(libwebsock_context *ctx, const char *node)
{
    this_node = node != NULL ? node : "";
    libwebsock_topic_options one = {sizeof one, 1, 0, 0, LIBWEBSOCK_BEHIND_SKIP};
    int failed = libwebsock_configure_topics(ctx, "price:", &one) != 0 ||
                 (errno = pthread_create(&publisher, NULL, run, ctx)) != 0;
    return failed ? -1 : 0;
}

void prices_stop(void)
{
    set(&stopping);
    (void)pthread_join(publisher, NULL);
}

void prices_serve(libwebsock_client_state *client) { client->onmessage = prices_onmessage; }
