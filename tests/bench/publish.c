/* publish.c: what a publication costs, in one process and without a socket: publish THREADS TOPICS
 * [SECONDS]. Each thread publishes messages of 20 bytes to the topics in turn; nobody subscribes.
 * Prints one line of JSON. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <websock/websock.h>

enum { MOST_THREADS = 64, MOST_TOPICS = 10000, IN_A_ROW = 64 };

static const char payload[20] = "twenty bytes of text";
static char names[MOST_TOPICS][24];
static int topics;
static libwebsock_context *ctx;
static int stops; /* atomic */

struct publisher {
    pthread_t thread;
    int first; /* of its topics */
    unsigned long long count;
    long long cpu_ns;
};

static long long now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *publish(void *argument)
{
    struct publisher *self = argument;
    int topic = self->first;

    while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
        for (int i = 0; i < IN_A_ROW; ++i) {
            if (libwebsock_publish_binary(ctx, names[topic], payload, sizeof payload) != 0) {
                perror("libwebsock_publish_binary");
                exit(1);
            }
            topic = topic + 1 == topics ? 0 : topic + 1;
            ++self->count;
        }
    }
    self->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

int main(int argc, char **argv)
{
    struct publisher publishers[MOST_THREADS] = {0};
    const int threads = argc > 2 ? atoi(argv[1]) : 0;
    const double seconds = argc > 3 ? atof(argv[3]) : 1;
    unsigned long long count = 0;
    long long cpu_ns = 0;
    long long began_at;
    double passed;
    struct timespec duration;

    topics = argc > 2 ? atoi(argv[2]) : 0;
    if (threads < 1 || threads > MOST_THREADS || topics < 1 || topics > MOST_TOPICS) {
        fprintf(stderr, "usage: %s THREADS TOPICS [SECONDS]\n", argv[0]);
        return 2;
    }
    ctx = libwebsock_init(NULL, NULL, 0);
    if (!ctx) {
        perror("libwebsock_init");
        return 1;
    }
    for (int i = 0; i < topics; ++i) {
        snprintf(names[i], sizeof names[i], "topic %d", i);
    }
    duration.tv_sec = (time_t)seconds;
    duration.tv_nsec = (long)((seconds - (double)duration.tv_sec) * 1e9);
    began_at = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; ++i) {
        publishers[i].first = i * topics / threads;
        if (pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]) != 0) {
            return 1;
        }
    }
    nanosleep(&duration, NULL);
    __atomic_store_n(&stops, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < threads; ++i) {
        pthread_join(publishers[i].thread, NULL);
        count += publishers[i].count;
        cpu_ns += publishers[i].cpu_ns;
    }
    passed = (double)(now_ns(CLOCK_MONOTONIC) - began_at) / 1e9;
    printf("{\"threads\": %d, \"topics\": %d, \"per_second\": %.0f, \"cpu_ns\": %.0f}\n", threads,
           topics, (double)count / passed, (double)cpu_ns / (double)count);
    libwebsock_free(ctx);
    return 0;
}
