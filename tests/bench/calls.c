/* calls.c: what posts and timers cost, in one process: calls [WAITING]. Posts to one client, whose
 * peer is the other end of a socket pair, and timers beside WAITING others (default 1,000,000),
 * which are set and cancelled in no order. Prints one line of JSON: nanoseconds of real time and,
 * of the calling thread and of the whole process, of CPU per call. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <websock/websock.h>

enum { POSTS = 2000000, TIMERS = 500000 };

static libwebsock_client_state *client; /* atomic: set by onopen */
static unsigned long long ran;          /* by the client's calls, one at a time; atomic */
static unsigned long long numbers[TIMERS];

struct cost {
    double real_ns, thread_ns, process_ns;
};

static double now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct cost now(void)
{
    struct cost cost = {now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_THREAD_CPUTIME_ID),
                        now_ns(CLOCK_PROCESS_CPUTIME_ID)};

    return cost;
}

static void print(const char *name, struct cost began, unsigned long long calls, const char *end)
{
    const struct cost ended = now();
    const double n = (double)calls;

    printf("\"%s\": {\"real_ns\": %.0f, \"thread_ns\": %.0f, \"process_ns\": %.0f}%s", name,
           (ended.real_ns - began.real_ns) / n, (ended.thread_ns - began.thread_ns) / n,
           (ended.process_ns - began.process_ns) / n, end);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int onopen(libwebsock_client_state *opened)
{
    __atomic_store_n(&client, libwebsock_retain(opened), __ATOMIC_RELEASE);
    return 0;
}

static void count(libwebsock_client_state *of, void *arg)
{
    (void)of;
    (void)arg;
    __atomic_store_n(&ran, ran + 1, __ATOMIC_RELAXED);
}

static void connect_client(libwebsock_context *ctx, int *peer)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        libwebsock_bind_socket(ctx, pair[0]) != 0 ||
        write(pair[1], request, sizeof request - 1) != (ssize_t)sizeof request - 1) {
        fail("connect");
    }
    *peer = pair[1];
    while (!__atomic_load_n(&client, __ATOMIC_ACQUIRE)) {
        poll(NULL, 0, 1);
    }
}

static void measure_posts(void)
{
    const struct cost began = now();

    for (int i = 0; i < POSTS;) {
        if (libwebsock_post(client, count, NULL) == 0) {
            ++i;
        } else if (errno == ENOBUFS) {
            sched_yield(); /* faster than it is run */
        } else {
            fail("libwebsock_post");
        }
    }
    while (__atomic_load_n(&ran, __ATOMIC_RELAXED) < POSTS) {
        sched_yield();
    }
    print("post", began, POSTS, ", ");
}

/* In no order, but always in the same one. */
static int far_ms(int i) { return 600000 + (int)((unsigned)i * 2654435761u % 1000000); }

static void measure_timers(libwebsock_context *ctx)
{
    struct cost began = now();

    for (int i = 0; i < TIMERS; ++i) {
        numbers[i] = libwebsock_after(ctx, NULL, far_ms(i), count, NULL);
        if (numbers[i] == 0) {
            fail("libwebsock_after");
        }
    }
    print("after", began, TIMERS, ", ");
    began = now();
    for (int i = 0; i < TIMERS; ++i) {
        const int each = (int)((unsigned)i * 7919u % TIMERS);

        if (libwebsock_cancel(ctx, numbers[each]) != 0) {
            fail("libwebsock_cancel");
        }
    }
    print("cancel", began, TIMERS, ", ");
}

int main(int argc, char **argv)
{
    const int waiting = argc > 1 ? atoi(argv[1]) : 1000000;
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    struct rusage usage;
    int peer;

    if (!ctx) {
        fail("libwebsock_init");
    }
    ctx->onopen = onopen;
    ctx->onclose = NULL;
    ctx->onlog = NULL;
    ctx->close_timeout_ms = 0;
    connect_client(ctx, &peer);
    for (int i = 0; i < waiting; ++i) {
        if (libwebsock_after(ctx, NULL, far_ms(i), count, NULL) == 0) {
            fail("libwebsock_after");
        }
    }
    printf("{\"waiting\": %d, ", waiting);
    measure_posts();
    measure_timers(ctx);
    getrusage(RUSAGE_SELF, &usage);
    printf("\"most_kib\": %ld}\n", usage.ru_maxrss);
    libwebsock_release(client);
    close(peer);
    libwebsock_free(ctx);
    return 0;
}
