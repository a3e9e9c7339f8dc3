/* cluster_node.c: one server of the cluster that cluster.py measures: cluster_node NODE REDIS
 * TOPICS. Each client is subscribed to all topics. Prints its port, then does what stdin says: "go
 * RATE" has a thread publish RATE messages of 200 bytes a second (0: as fast as it can), the topics
 * in turn; "stop" ends that and prints a line of JSON. The end of stdin is the program's. */
#include <websock/redis.h>
#include <websock/websock.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_TOPICS = 1000, PAYLOAD = 200, HISTORY = 200000 };

/* The payload begins with these, in the machine's order; the rest is filler. */
struct stamp {
    int64_t sent_ns; /* CLOCK_MONOTONIC */
    uint32_t node;
    uint32_t topic;
    uint64_t number; /* of this node's in this topic, from 0 */
};

static libwebsock_context *ctx;
static uint32_t node;
static int topics;
static char names[MOST_TOPICS][24];
static int stops; /* atomic */
static double rate;
static unsigned long long published, refused;
static uint64_t numbers[MOST_TOPICS];

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec due = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int subscribe_to_all(libwebsock_client_state *client)
{
    for (int i = 0; i < topics; i++) {
        if (libwebsock_subscribe(client, names[i], NULL) != 0) {
            perror("libwebsock_subscribe");
            return libwebsock_close(client);
        }
    }
    return libwebsock_send_text(client, "subscribed");
}

/* 0, or -1: too much waits to leave. */
static int publish_one(int topic)
{
    char payload[PAYLOAD] = {0};
    struct stamp stamp = {now_ns(CLOCK_MONOTONIC), node, (uint32_t)topic, numbers[topic]};
    memcpy(payload, &stamp, sizeof stamp);
    if (libwebsock_publish_binary(ctx, names[topic], payload, sizeof payload) != 0) {
        if (errno != EAGAIN) {
            perror("libwebsock_publish_binary");
            exit(1);
        }
        return -1;
    }
    numbers[topic]++;
    return 0;
}

static void *publish(void *unused)
{
    int64_t began = now_ns(CLOCK_MONOTONIC), due = began;
    int topic = 0;
    (void)unused;
    while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
        if (rate > 0) {
            due = began + (int64_t)((double)published * 1e9 / rate);
            if (due > now_ns(CLOCK_MONOTONIC)) {
                sleep_until(due);
            }
        }
        if (publish_one(topic) != 0) {
            refused++;
            sleep_until(now_ns(CLOCK_MONOTONIC) + 1000000);
            continue;
        }
        published++;
        topic = topic + 1 == topics ? 0 : topic + 1;
    }
    return NULL;
}

static void *serve(void *unused)
{
    (void)unused;
    if (libwebsock_wait(ctx) != 0) {
        perror("libwebsock_wait");
        exit(1);
    }
    return NULL;
}

static void obey(void)
{
    pthread_t publisher = 0;
    int64_t began = 0, cpu = 0;
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "go %lf", &rate) == 1) {
            published = refused = 0;
            stops = 0;
            began = now_ns(CLOCK_MONOTONIC);
            cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
            if (pthread_create(&publisher, NULL, publish, NULL) != 0) {
                exit(1);
            }
        } else if (strcmp(line, "stop\n") == 0) {
            __atomic_store_n(&stops, 1, __ATOMIC_RELAXED);
            pthread_join(publisher, NULL);
            printf("{\"published\": %llu, \"refused\": %llu, \"seconds\": %.3f, "
                   "\"cpu_seconds\": %.4f}\n",
                   published, refused, (double)(now_ns(CLOCK_MONOTONIC) - began) / 1e9,
                   (double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9);
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    const char *server = argc == 4 ? argv[2] : NULL;
    libwebsock_redis_options redis = {0};
    libwebsock_topic_options keeps = {0};
    pthread_t server_thread;

    node = argc == 4 ? (uint32_t)atoi(argv[1]) : 0;
    topics = argc == 4 ? atoi(argv[3]) : 0;
    if (server == NULL || topics < 1 || topics > MOST_TOPICS) {
        fprintf(stderr, "usage: %s NODE REDIS TOPICS\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < topics; i++) {
        snprintf(names[i], sizeof names[i], "topic %d", i);
    }
    ctx = libwebsock_init(NULL, NULL, 0);
    redis.size = sizeof redis;
    redis.servers = &server;
    redis.server_count = 1;
    keeps.size = sizeof keeps;
    keeps.history_messages = HISTORY / (size_t)topics;
    keeps.history_bytes = (size_t)64 << 20;
    if (ctx == NULL || libwebsock_use_redis(ctx, &redis) != 0 ||
        libwebsock_configure_topics(ctx, "", &keeps) != 0 ||
        libwebsock_bind(ctx, "127.0.0.1", "0") != 0) {
        perror("cluster_node");
        return 1;
    }
    ctx->handle_signals = 0;
    ctx->onopen = subscribe_to_all;
    ctx->onmessage = NULL;
    ctx->onclose = NULL;
    ctx->max_topic_bytes = (size_t)512 << 20;
    ctx->max_subscriptions_per_client = MOST_TOPICS;
    if (pthread_create(&server_thread, NULL, serve, NULL) != 0) {
        return 1;
    }
    printf("port %d\n", libwebsock_port(ctx));
    fflush(stdout);
    obey();
    libwebsock_stop(ctx);
    pthread_join(server_thread, NULL);
    libwebsock_free(ctx);
    return 0;
}
