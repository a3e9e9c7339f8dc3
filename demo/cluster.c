/* cluster.c: websock-demo as one node of several. One call has a Redis server keep the topics, and
 * so the rooms of the chat are the same on all nodes. The rest is for the page: which node this
 * is, and a crash on demand, to see that the chat goes on elsewhere.
 * Whoever reaches the server may ask for that crash: it is for demonstrations on loopback. */
#include "cluster.h"

#ifdef DEMO_HAS_REDIS
#include <websock/redis.h>
#endif

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME 32
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

int cluster_is_name(const char *name)
{
    size_t len = strspn(name, LETTERS "0123456789-_");
    return len > 0 && len <= MAX_NAME && name[len] == '\0';
}

#ifdef DEMO_HAS_REDIS

int cluster_has_redis(void) { return 1; }

int cluster_join(libwebsock_context *ctx, const char *server)
{
    libwebsock_redis_options options = {.size = sizeof options};
    options.servers = &server;
    options.server_count = 1;
    return libwebsock_use_redis(ctx, &options);
}

#else

int cluster_has_redis(void) { return 0; }

int cluster_join(libwebsock_context *ctx, const char *server)
{
    (void)ctx;
    (void)server;
    return -1; /* options.c has refused --redis already */
}

#endif

int cluster_serve_name(libwebsock_client_state *client, const char *node)
{
    char text[MAX_NAME + 16];
    int len = snprintf(text, sizeof text, "{\"node\":\"%s\"}\n", node);
    (void)libwebsock_add_response_header(client, "Cache-Control", "no-store");
    return libwebsock_respond(client, 200, "application/json", text, (size_t)len) == 0 ? 0 : 500;
}

/* SIGKILL, because nothing can be cleaned up, sent or answered after it. */
int cluster_end(const libwebsock_request *request, const char *node)
{
    int for_another =
        strncmp(request->query, "node=", 5) == 0 && strcmp(request->query + 5, node) != 0;
    return for_another || raise(SIGKILL) != 0 ? 409 : 0;
}
