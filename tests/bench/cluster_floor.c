/* cluster_floor.c: what a cluster is compared with: cluster_floor PORT-OR-PATH NODES SECONDS. For
 * each node, a thread that publishes 200 bytes at a time through hiredis, 64 in one round trip, and
 * one that reads what all of them publish, on connections of their own; no log, no order, no
 * WebSocket. Prints one line of JSON. */
#include <hiredis/hiredis.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_NODES = 16, PAYLOAD = 200, BATCH = 64 };

static const char *path;
static int stops; /* atomic */
static unsigned long long published[MOST_NODES], received[MOST_NODES];
static pthread_barrier_t ready;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static redisContext *connect_or_exit(void)
{
    redisContext *redis = redisConnectUnix(path);
    if (redis == NULL || redis->err) {
        fprintf(stderr, "cluster_floor: %s\n", redis ? redis->errstr : "no memory");
        exit(1);
    }
    return redis;
}

static void reply_or_exit(redisContext *redis)
{
    redisReply *reply = NULL;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "cluster_floor: %s\n", reply ? reply->str : redis->errstr);
        exit(1);
    }
    freeReplyObject(reply);
}

static void *publish(void *argument)
{
    unsigned long long *count = argument;
    redisContext *redis = connect_or_exit();
    char payload[PAYLOAD] = {0};
    pthread_barrier_wait(&ready);
    while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
        for (int i = 0; i < BATCH; i++) {
            redisAppendCommand(redis, "PUBLISH floor %b", payload, sizeof payload);
        }
        for (int i = 0; i < BATCH; i++) {
            reply_or_exit(redis);
        }
        *count += BATCH;
    }
    redisFree(redis);
    return NULL;
}

static void *receive(void *argument)
{
    unsigned long long *count = argument;
    redisContext *redis = connect_or_exit();
    redisAppendCommand(redis, "SUBSCRIBE floor");
    reply_or_exit(redis);
    pthread_barrier_wait(&ready);
    for (;;) {
        reply_or_exit(redis);
        (*count)++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const int nodes = argc == 4 ? atoi(argv[2]) : 0;
    const double duration = argc == 4 ? atof(argv[3]) : 0;
    pthread_t publishers[MOST_NODES], reader;
    unsigned long long out = 0, in = 0;
    if (nodes < 1 || nodes > MOST_NODES || duration <= 0) {
        fprintf(stderr, "usage: %s PATH NODES SECONDS\n", argv[0]);
        return 2;
    }
    path = argv[1];
    signal(SIGPIPE, SIG_IGN);
    pthread_barrier_init(&ready, NULL, 2 * (unsigned)nodes + 1);
    for (int i = 0; i < nodes; i++) {
        if (pthread_create(&reader, NULL, receive, &received[i]) != 0 ||
            pthread_create(&publishers[i], NULL, publish, &published[i]) != 0) {
            return 1;
        }
    }
    pthread_barrier_wait(&ready);
    const double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct timespec pause = {(time_t)duration, (long)((duration - (double)(time_t)duration) * 1e9)};
    nanosleep(&pause, NULL);
    __atomic_store_n(&stops, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < nodes; i++) {
        pthread_join(publishers[i], NULL);
        out += published[i];
        in += received[i];
    }
    printf("{\"published\": %llu, \"received\": %llu, \"seconds\": %.3f, \"cpu_seconds\": %.4f}\n",
           out, in, seconds(CLOCK_MONOTONIC) - began, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0; /* the readers end with the process */
}
