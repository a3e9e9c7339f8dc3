/* echo_server.c: libwebsock as the benchmark measures it: echo_server WORK [KEY CERTIFICATE],
 * with WORK as in work.h. Given the files of a key and a certificate it speaks TLS. Prints
 * "port N" and serves until SIGTERM. */
#include "work.h"

#include <pthread.h>
#include <websock/websock.h>

static struct bench_work work;

static int echo(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT) {
        return libwebsock_send_text_with_length(client, msg->payload, (size_t)msg->payload_len);
    }
    return libwebsock_send_binary(client, msg->payload, (size_t)msg->payload_len);
}

static int echo_session(libwebsock_client_state *client)
{
    libwebsock_message msg;

    while (libwebsock_receive(client, &msg, -1) == 1) {
        echo(client, &msg);
    }
    return 0;
}

static int block_and_echo(libwebsock_client_state *client, libwebsock_message *msg)
{
    block_thread(work.block_ms);
    return echo(client, msg);
}

static int fan_out(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT) {
        return libwebsock_send_all_text(client->ctx, msg->payload);
    }
    return libwebsock_send_all_binary(client->ctx, msg->payload, (size_t)msg->payload_len);
}

/* stale.cpp reads the payload: key and time, filled up to 40 bytes. */
static int publish_price(libwebsock_context *ctx, int number)
{
    libwebsock_publication price = {0};
    char key[16];
    char text[64];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(key, sizeof key, "%03d", number);
    price.size = sizeof price;
    price.topic = "all";
    price.key = key;
    price.payload = text;
    price.payload_len = (size_t)snprintf(text, sizeof text, "%s %-36lld", key,
                                         (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    return libwebsock_publish(ctx, &price);
}

static void *change_prices(void *ctx)
{
    struct timespec due;

    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int number = 0; publish_price(ctx, number) == 0; number = (number + 1) % PRICES) {
        due.tv_nsec += 1000000000 / (PRICES * PRICE_CHANGES);
        if (due.tv_nsec >= 1000000000) {
            due.tv_nsec -= 1000000000;
            ++due.tv_sec;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return NULL; /* the server has been stopped */
}

/* Whoever does not read is to stay. */
static int keep_who_is_behind(libwebsock_context *ctx)
{
    libwebsock_topic_options options = {sizeof options, 2 * PRICES, 0, 0, LIBWEBSOCK_BEHIND_SKIP};

    return libwebsock_configure_topics(ctx, "", &options);
}

static int subscribe(libwebsock_client_state *client)
{
    return libwebsock_subscribe(client, "all", NULL);
}

static int subscribe_when_asked(libwebsock_client_state *client, libwebsock_message *msg)
{
    (void)msg;
    return subscribe(client);
}

static int publish(libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT) {
        return libwebsock_publish_text(client->ctx, "all", msg->payload);
    }
    return libwebsock_publish_binary(client->ctx, "all", msg->payload, (size_t)msg->payload_len);
}

static int (*onmessage(void))(libwebsock_client_state *, libwebsock_message *)
{
    if (work.fanout) {
        return work.topics ? publish : fan_out;
    }
    if (work.prices) {
        return subscribe_when_asked;
    }
    return work.block_ms > 0 ? block_and_echo : echo;
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    pthread_t publisher;

    work = parse_work(argc, argv);
    raise_file_limit();
    if (!ctx) {
        perror("libwebsock_init");
        return 1;
    }
    ctx->onopen = work.topics ? subscribe : NULL;
    ctx->onclose = NULL;
    ctx->onframetoolarge = NULL;
    ctx->onlog = NULL;
    ctx->onmessage = onmessage();
    ctx->onsession = work.session ? echo_session : NULL;
    ctx->send_buffer_bytes = work.send_buffer_bytes;
    ctx->compression = work.compression;
    if (work.compression_level > 0) {
        ctx->compression_level = work.compression_level;
    }
    if (work.compression_history > 0) {
        ctx->compression_history = work.compression_history;
    }
    if ((work.topics || work.prices) && keep_who_is_behind(ctx) != 0) {
        perror("libwebsock_configure_topics");
        return 1;
    }
    if ((argc > 3 ? libwebsock_bind_ssl(ctx, "127.0.0.1", "0", argv[2], argv[3])
                  : libwebsock_bind(ctx, "127.0.0.1", "0")) != 0) {
        perror("libwebsock_bind");
        return 1;
    }
    say_port(libwebsock_port(ctx));
    if (work.prices && pthread_create(&publisher, NULL, change_prices, ctx) != 0) {
        return 1;
    }
    if (libwebsock_wait(ctx) != 0) {
        perror("libwebsock_wait");
        return 1;
    }
    if (work.prices) {
        pthread_join(publisher, NULL);
    }
    libwebsock_free(ctx);
    return 0;
}
