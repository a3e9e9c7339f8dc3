/* work.h: the command line of every WebSocket server in the benchmark, and what else they
 * share, in C and C++: PROGRAM WORK, where WORK is echo, fanout (each message goes to all
 * clients), topics (the same, by a topic if the server has them), or block=MILLISECONDS
 * before each echo. libwebsock also has session (echo by onsession), and prices=BYTES: 500
 * prices change ten times a second each, for all clients, and BYTES is its send_buffer_bytes.
 * BENCH_COMPRESSION=LEVEL in the environment turns permessage-deflate on, as the library has it
 * by default but for the level; 0 is its own. For libwebsock, LEVEL/HISTORY also sets how many
 * bytes of history a client has. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PRICES = 500, PRICE_CHANGES = 10 /* a second, of each */ };
enum { LISTEN_BACKLOG = 4096, MOST_MESSAGE_BYTES = 16 << 20 };

struct bench_work {
    int fanout;
    int topics; /* and fanout is set, too */
    int block_ms;
    int session;
    int prices;
    size_t send_buffer_bytes;
    int compression;
    int compression_level;      /* 0: the library's own */
    size_t compression_history; /* 0: the library's own */
};

static inline struct bench_work parse_work(int argc, char **argv)
{
    struct bench_work work = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    const char *word = argc > 1 ? argv[1] : "";
    const char *level = getenv("BENCH_COMPRESSION");

    work.topics = strcmp(word, "topics") == 0;
    work.session = strcmp(word, "session") == 0;
    work.fanout = work.topics || strcmp(word, "fanout") == 0;
    if (strncmp(word, "block=", 6) == 0) {
        work.block_ms = atoi(word + 6);
    }
    if (strncmp(word, "prices=", 7) == 0) {
        work.prices = 1;
        work.send_buffer_bytes = (size_t)strtoul(word + 7, NULL, 10);
    }
    work.compression = level != NULL;
    work.compression_level = level ? atoi(level) : 0;
    if (level && strchr(level, '/')) {
        work.compression_history = (size_t)strtoul(strchr(level, '/') + 1, NULL, 10);
    }
    if (!work.fanout && !work.prices && !work.session && work.block_ms <= 0 &&
        strcmp(word, "echo") != 0) {
        fprintf(stderr, "usage: %s echo|fanout|topics|block=MILLISECONDS\n", argv[0]);
        exit(2);
    }
    return work;
}

/* Stands for a callback that asks a database: its thread waits. */
static inline void block_thread(int ms)
{
    struct timespec time;

    if (ms <= 0) {
        return;
    }
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000L;
    nanosleep(&time, NULL);
}

/* A connection needs a file, and the usual limit of 1024 is only the soft one. */
static inline void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* otherwise it makes do with fewer */
    }
}

static inline void say_port(int port)
{
    printf("port %d\n", port);
    fflush(stdout);
}

#endif
