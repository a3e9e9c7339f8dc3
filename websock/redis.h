/* websock/redis.h: a backplane that keeps topics in servers that speak the Redis protocol, so that
 * several libwebsock servers have the same topics. In libwebsock-redis.a, which needs libhiredis.
 * Manual: libwebsock_use_redis(3). The conventions are those of websock/websock.h. */
#ifndef WEBSOCK_REDIS_H
#define WEBSOCK_REDIS_H

#include <stddef.h>
#include <websock/websock.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Set the whole struct to 0, then size to sizeof(libwebsock_redis_options). Strings are copied. All
 * nodes of a cluster must have the same servers, database and prefix. */
typedef struct libwebsock_redis_options {
    size_t size;
    const char *const *servers; /* server_count of them: "127.0.0.1:6379", "[::1]:6379", or
                                 * "unix:/run/redis.sock". Each topic is kept by one of them, chosen
                                 * by these texts: write them alike on all nodes; their order does
                                 * not matter. NULL: one, 127.0.0.1:6379 */
    size_t server_count;
    const char *username;       /* of an ACL user; needs a password. NULL: the default user */
    const char *password;       /* NULL: none */
    int database;
    const char *prefix;         /* of all keys and channels. NULL: "websock:" */
    int connect_timeout_ms;     /* 0: 2000 */
    int command_timeout_ms;     /* 0: 2000. How long a server may be silent when it should answer */
    size_t max_unsent_bytes;    /* 0: 16 MiB. Of publications that no server has taken yet; beyond
                                 * that libwebsock_publish fails with EAGAIN */
} libwebsock_redis_options;

/* Has these servers keep all topics of the context. Before libwebsock_wait. Connects to each of
 * them to see that it can be used, and closes the connections again. options may be NULL: all
 * defaults. Returns 0, or -1 and logs the reason: EINVAL an argument, the size or an option is not
 * valid; ENOENT a host is not known; EACCES wrong password, or no permission; EPROTO what answers
 * speaks another protocol, or has no such database; EAGAIN it cannot be written to now (it loads,
 * or is full); ECONNREFUSED, ETIMEDOUT, ECONNRESET and others of connect(2); EBUSY the context has
 * a backplane already, something was published, or it serves; ENOMEM. */
int libwebsock_use_redis(libwebsock_context *ctx, const libwebsock_redis_options *options);

/* Filled in by libwebsock_redis_stats. Set size to sizeof(libwebsock_redis_statistics) first.
 * Counts start when libwebsock_wait begins. */
typedef struct libwebsock_redis_statistics {
    size_t size;
    unsigned long long servers;
    unsigned long long servers_connected; /* and not full, now */
    unsigned long long away_ms;           /* how long the one that is away longest has been, now */
    unsigned long long unsent_messages;   /* publications that no server has taken yet, now */
    unsigned long long unsent_bytes;      /* their memory, now */
    unsigned long long published;         /* publications that a server has taken */
    unsigned long long received;          /* messages handed to the context, this node's among them */
    unsigned long long duplicates;        /* publications sent again, which had been taken before */
    unsigned long long gaps_filled;       /* missed live messages, and got from a log instead */
    unsigned long long lost_logs;         /* topics whose log was found to be lost */
    unsigned long long ignored;           /* what others wrote into our channels and logs */
    unsigned long long dropped;           /* publications that a server has refused for good */
} libwebsock_redis_statistics;

/* Any thread. Returns 0, or -1: EINVAL an argument is NULL, or out->size is too small; ENOENT the
 * context does not use Redis; EPERM it serves in another process. */
int libwebsock_redis_stats(libwebsock_context *ctx, libwebsock_redis_statistics *out);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
