/* prices.c: a ticker. Each instrument is a topic, and all its prices have the same key, so that a
 * new price replaces the one that a slow client has not got yet: nothing piles up, and what it gets
 * next is the newest. Gaps in the numbers tell how many were left out.
 *
 *     build/demo/prices [port [milliseconds]]     default 1234, new prices every 100 ms
 *
 *     python3 -m websockets ws://127.0.0.1:1234/
 *
 * and type "subscribe EURUSD GBPUSD" or "unsubscribe EURUSD". */
#include <websock/websock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COMMAND 1000
#define MAX_TOPIC 40

struct instrument {
    const char *name;
    double price;
    unsigned long long number; /* of the price */
};

/* Stands for a feed. Only its timer, of which one turn runs at a time, uses what changes. */
struct market {
    unsigned random;
    size_t count;
    struct instrument *instruments;
};

static void topic_of(const char *instrument, char topic[MAX_TOPIC])
{
    (void)snprintf(topic, MAX_TOPIC, "price/%.20s", instrument);
}

static int publish(libwebsock_context *ctx, const struct instrument *instrument)
{
    char topic[MAX_TOPIC], text[128];
    libwebsock_publication what = {.size = sizeof what, .topic = topic, .key = instrument->name};
    topic_of(instrument->name, topic);
    what.payload = text;
    what.payload_len = (size_t)snprintf(text, sizeof text,
                                        "{\"instrument\":\"%s\",\"number\":%llu,\"price\":%.5f}",
                                        instrument->name, instrument->number, instrument->price);
    return libwebsock_publish(ctx, &what);
}

/* A turn that is late is left out, not made up for. */
static void tick(libwebsock_client_state *nobody, void *arg)
{
    libwebsock_context *ctx = arg;
    struct market *market = ctx->user_data;
    (void)nobody; /* the timer belongs to no client */
    for (size_t i = 0; i < market->count; i++) {
        struct instrument *instrument = &market->instruments[i];
        market->random = market->random * 1103515245U + 12345U;
        instrument->price *= 1 + ((double)(market->random >> 16 & 1023) - 511.5) / 5e6;
        instrument->number++;
        (void)publish(ctx, instrument); /* if it fails, the next one tells more */
    }
}

static int is_instrument(const struct market *market, const char *name)
{
    size_t i = 0;
    while (i < market->count && strcmp(market->instruments[i].name, name) != 0) {
        i++;
    }
    return i < market->count;
}

/* A subscription begins with the newest price. To subscribe twice changes nothing. */
static int change(libwebsock_client_state *client, const char *command, const char *name)
{
    libwebsock_subscription newest = {.size = sizeof newest, .history = 1};
    char topic[MAX_TOPIC];
    if (!is_instrument(client->ctx->user_data, name)) {
        return -1;
    }
    topic_of(name, topic);
    if (strcmp(command, "subscribe") == 0) {
        return libwebsock_subscribe(client, topic, &newest) == 0 || errno == EEXIST ? 0 : -1;
    }
    if (strcmp(command, "unsubscribe") == 0) {
        return libwebsock_unsubscribe(client, topic) == 0 || errno == ENOENT ? 0 : -1;
    }
    return -1;
}

/* "subscribe A B C" */
static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    char *rest = NULL;
    const char *command = strtok_r(msg->payload, " \n", &rest); /* a NUL ends binary data, too */
    const char *name = command != NULL ? strtok_r(NULL, " \n", &rest) : NULL;
    int failed = name == NULL;
    for (; name != NULL && !failed; name = strtok_r(NULL, " \n", &rest)) {
        failed = change(client, command, name) != 0;
    }
    return failed ? libwebsock_send_text(client, "{\"error\":\"no such command\"}") : 0;
}

int main(int argc, char **argv)
{
    struct instrument instruments[] = {{"EURUSD", 1.08, 0},  {"GBPUSD", 1.27, 0},
                                       {"USDJPY", 149.5, 0}, {"USDCHF", 0.88, 0},
                                       {"XAUUSD", 2650, 0},  {"XAGUSD", 30.5, 0}};
    struct market market = {1, sizeof instruments / sizeof *instruments, instruments};
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, MAX_COMMAND);
    if (ctx == NULL) {
        perror("prices");
        return 1;
    }
    ctx->user_data = &market;
    ctx->max_message_payload = MAX_COMMAND;
    ctx->onopen = ctx->onclose = NULL; /* the default ones print */
    ctx->onframetoolarge = NULL;       /* the client is told 1009 */
    ctx->onmessage = onmessage;
    int failed = libwebsock_every(ctx, NULL, argc > 2 ? atoi(argv[2]) : 100, tick, ctx) == 0 ||
                 libwebsock_bind(ctx, "127.0.0.1", argc > 1 ? argv[1] : "1234") != 0;
    if (!failed) {
        printf("prices: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
        (void)fflush(stdout);
        failed = libwebsock_wait(ctx) != 0; /* until SIGINT or SIGTERM */
    }
    libwebsock_free(ctx);
    return failed;
}
