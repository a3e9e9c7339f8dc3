/* libwebsockets.c: libwebsockets in the benchmark. Its command line is ../work.h's, and then
 * KEY CERTIFICATE, the files of both, for TLS.
 * lws delivers data in pieces and is written to only in its writable callback. So each message
 * is assembled in a buffer of its own, which waits in the queue of each client that it goes
 * to. Serves until SIGTERM, whose default action is to end it. */
#include "tests/bench/work.h"

#include <libwebsockets.h>

/* lws_write wants room for a header in front of the bytes, and writes it there: the same one
 * for every client, so all can share the message. */
struct message {
    size_t references;
    size_t length;
    size_t capacity;
    enum lws_write_protocol kind;
    unsigned char bytes[];
};

/* A ring that grows; capacity is a power of two. */
struct queue {
    struct message **ring;
    size_t capacity;
    size_t first;
    size_t count;
};

struct client {
    struct lws *wsi;
    struct message *incoming;
    struct message *spare; /* its memory is reused, which matters when it is large */
    struct queue unsent;
    struct client *next; /* all of them, for fan-out */
    struct client **link;
};

enum { MOST_UNSENT = 256 }; /* a client with more unsent is not read until it reads some */

static struct bench_work work;
static struct client *clients;

static void forget(struct message *message)
{
    if (message && --message->references == 0) {
        free(message);
    }
}

static void keep_or_forget(struct client *client, struct message *message)
{
    if (client->spare || message->references > 1) {
        forget(message);
    } else {
        client->spare = message;
    }
}

static struct message *resized(struct message *message, size_t capacity)
{
    message = realloc(message, sizeof *message + LWS_PRE + capacity);
    if (message) {
        message->capacity = capacity;
    }
    return message;
}

static int push(struct queue *queue, struct message *message)
{
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity ? 2 * queue->capacity : 8;
        struct message **ring = malloc(capacity * sizeof *ring);
        if (!ring) {
            return -1;
        }
        for (size_t i = 0; i < queue->count; ++i) {
            ring[i] = queue->ring[(queue->first + i) & (queue->capacity - 1)];
        }
        free(queue->ring);
        *queue = (struct queue){ring, capacity, 0, queue->count};
    }
    queue->ring[(queue->first + queue->count++) & (queue->capacity - 1)] = message;
    ++message->references;
    return 0;
}

static struct message *pop(struct queue *queue)
{
    struct message *message = queue->ring[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    --queue->count;
    return message;
}

static void join(struct client *client, struct lws *wsi)
{
    client->wsi = wsi;
    client->next = clients;
    client->link = &clients;
    if (clients) {
        clients->link = &client->next;
    }
    clients = client;
}

static void leave(struct client *client)
{
    *client->link = client->next;
    if (client->next) {
        client->next->link = client->link;
    }
    forget(client->incoming);
    forget(client->spare);
    while (client->unsent.count > 0) {
        forget(pop(&client->unsent));
    }
    free(client->unsent.ring);
}

/* Takes a piece of a message; remaining bytes of its frame are still to come. */
static int assemble(struct client *client, const void *piece, size_t length, size_t remaining)
{
    struct message *message = client->incoming;
    size_t had = message ? message->length : 0;
    size_t needed = had + length + remaining;

    if (needed > MOST_MESSAGE_BYTES) {
        lws_close_reason(client->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
        return -1;
    }
    if (!message) {
        message = client->spare;
        client->spare = NULL;
    }
    if (!message || needed > message->capacity) {
        struct message *larger = resized(message, needed);
        if (!larger) {
            forget(message);
            client->incoming = NULL;
            return -1;
        }
        message = larger;
    }
    client->incoming = message;
    message->references = 1;
    memcpy(message->bytes + LWS_PRE + had, piece, length);
    message->length = had + length;
    return 0;
}

static int send_later(struct client *client, struct message *message)
{
    if (push(&client->unsent, message) != 0) {
        return -1;
    }
    if (!work.fanout && client->unsent.count == MOST_UNSENT) {
        (void)lws_rx_flow_control(client->wsi, 0);
    }
    lws_callback_on_writable(client->wsi);
    return 0;
}

static int fan_out(struct message *message)
{
    for (struct client *client = clients; client; client = client->next) {
        if (send_later(client, message) != 0) {
            return -1;
        }
    }
    return 0;
}

static int receive(struct client *client, const void *piece, size_t length)
{
    struct message *message;
    size_t remaining = lws_remaining_packet_payload(client->wsi);
    int result;

    if (assemble(client, piece, length, remaining) != 0) {
        return -1;
    }
    if (remaining > 0 || !lws_is_final_fragment(client->wsi)) {
        return 0;
    }
    message = client->incoming;
    client->incoming = NULL;
    message->kind = lws_frame_is_binary(client->wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
    block_thread(work.block_ms);
    result = work.fanout ? fan_out(message) : send_later(client, message);
    forget(message);
    return result;
}

/* Sends as many as the socket takes, since a round of the event loop costs more than a message.
 * What lws_write could not send is in lws's own buffer, and nothing may follow until that is
 * empty; then the callback comes again. */
static int send_unsent(struct client *client)
{
    while (client->unsent.count > 0 && !lws_partial_buffered(client->wsi)) {
        struct message *message = pop(&client->unsent);
        int length = (int)message->length;
        int written =
            lws_write(client->wsi, message->bytes + LWS_PRE, message->length, message->kind);
        keep_or_forget(client, message);
        if (written < length) {
            return -1;
        }
    }
    if (client->unsent.count > 0) {
        lws_callback_on_writable(client->wsi);
    } else {
        (void)lws_rx_flow_control(client->wsi, 1);
    }
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t length)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        join(user, wsi);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(user, in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return send_unsent(user);
    case LWS_CALLBACK_CLOSED:
        leave(user);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, length);
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "bench",
     .callback = on_event,
     .per_session_data_size = sizeof(struct client),
     .rx_buffer_size = 64 * 1024,
     .tx_packet_size = MOST_MESSAGE_BYTES + LWS_PRE},
    {0},
};

int main(int argc, char **argv)
{
    struct lws_context_creation_info info = {0};
    struct lws_context *context;
    struct lws_vhost *vhost;

    work = parse_work(argc, argv);
    raise_file_limit();
    lws_set_log_level(0, NULL);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = 128 * 1024; /* as its header suggests for throughput */
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8;
    if (argc > 3) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_private_key_filepath = argv[2];
        info.ssl_cert_filepath = argv[3];
    }
    context = lws_create_context(&info);
    vhost = context ? lws_create_vhost(context, &info) : NULL;
    if (!vhost) {
        fprintf(stderr, "libwebsockets: cannot listen\n");
        return 1;
    }
    say_port(lws_get_vhost_listen_port(vhost));
    while (lws_service(context, 0) >= 0) {
    }
    return 0;
}
