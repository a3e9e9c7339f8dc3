/* node.c: a server that is one of several, for nodes_test.py. A client that connects to /TOPIC
 * subscribes to it; what it sends is published there, with itself as its id. /TOPIC?after=ID goes on
 * behind that message, /TOPIC?history=N begins with the last N. /stats is what Redis has come to.
 *
 * Usage: node [--password PASSWORD] [--history MESSAGES] SERVER... The first line on stdout is its
 * port. SIGTERM ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <websock/redis.h>
#include <websock/websock.h>

static const char *topic_of(libwebsock_client_state *client)
{
    return libwebsock_client_request(client)->path;
}

static int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    libwebsock_redis_statistics now;
    char text[400];

    if (request->is_websocket || strcmp(request->path, "/stats") != 0)
        return 0;
    memset(&now, 0, sizeof now);
    now.size = sizeof now;
    if (libwebsock_redis_stats(client->ctx, &now) == -1)
        return 500;
    snprintf(text, sizeof text,
             "connected %llu\naway_ms %llu\nunsent %llu\npublished %llu\nreceived %llu\n"
             "gaps_filled %llu\nlost_logs %llu\n",
             now.servers_connected, now.away_ms, now.unsent_messages, now.published, now.received,
             now.gaps_filled, now.lost_logs);
    return libwebsock_respond(client, 200, "text/plain", text, strlen(text)) == 0 ? 0 : 500;
}

static int onopen(libwebsock_client_state *client)
{
    const char *query = libwebsock_client_request(client)->query;
    libwebsock_subscription how;

    memset(&how, 0, sizeof how);
    how.size = sizeof how;
    if (strncmp(query, "after=", 6) == 0)
        how.after_id = query + 6;
    else if (strncmp(query, "history=", 8) == 0)
        how.history = strtoul(query + 8, NULL, 10);
    if (libwebsock_subscribe(client, topic_of(client), &how) == -1)
        libwebsock_close_with_reason(client, 4000, strerror(errno));
    return 0;
}

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    libwebsock_publication what;

    memset(&what, 0, sizeof what);
    what.size = sizeof what;
    what.topic = topic_of(client);
    what.opcode = msg->opcode;
    what.payload = msg->payload;
    what.payload_len = (size_t)msg->payload_len;
    what.id = msg->payload_len < 64 ? msg->payload : NULL;
    if (libwebsock_publish(client->ctx, &what) == -1)
        libwebsock_close_with_reason(client, 4001, strerror(errno));
    return 0;
}

static int configure(libwebsock_context *ctx, const char *history)
{
    libwebsock_topic_options options;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.history_messages = strtoul(history, NULL, 10);
    options.history_bytes = 64 << 20;
    return libwebsock_configure_topics(ctx, "", &options);
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    libwebsock_redis_options options;
    const char *history = "100000";
    int at = 1;

    if (ctx == NULL)
        return 1;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.command_timeout_ms = 500;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--password") == 0)
            options.password = argv[at + 1];
        else
            history = argv[at + 1];
    }
    options.servers = (const char *const *)argv + at;
    options.server_count = (size_t)(argc - at);
    ctx->onrequest = onrequest;
    ctx->onopen = onopen;
    ctx->onmessage = onmessage;
    ctx->onclose = NULL;
    ctx->idle_timeout_ms = 0;
    if (configure(ctx, history) == -1 || libwebsock_use_redis(ctx, &options) == -1) {
        printf("%s\n", strerror(errno));
        libwebsock_free(ctx);
        return 2;
    }
    if (libwebsock_bind(ctx, "127.0.0.1", "0") == -1)
        return 1;
    printf("%d\n", libwebsock_port(ctx));
    fflush(stdout);
    int result = libwebsock_wait(ctx);
    libwebsock_free(ctx);
    return result == 0 ? 0 : 1;
}
