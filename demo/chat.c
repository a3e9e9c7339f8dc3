/* chat.c: rooms. Each is a topic: the library keeps what was said and knows who is there. A
 * message goes to all in the room, its sender included, as its id, a space, and what was sent.
 * A newcomer gets the last messages first. Who comes back with ?after=ID gets what was said
 * since then: nothing is missing, and nothing comes twice.
 * With other nodes, see cluster.c, nothing else changes but that ids begin with the node's name:
 * who comes back to another node goes on there. */
#include "chat.h"

#include "people.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HISTORY 20         /* messages that a newcomer gets */
#define KEPT_MESSAGES 1000 /* for those who come back, in each room */
#define KEPT_BYTES ((size_t)4 << 20)
#define KEPT_MS (60 * 60 * 1000)
#define MAX_NAME 64
#define MAX_ID 64
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

struct topic {
    char name[MAX_NAME + 8];
};

static const char *this_node; /* of this node, or NULL; set before any thread starts */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards last_id */
static unsigned long long last_id;

int chat_start(libwebsock_context *ctx, const char *node)
{
    libwebsock_topic_options chat = {sizeof chat, KEPT_MESSAGES, KEPT_BYTES, KEPT_MS,
                                     LIBWEBSOCK_BEHIND_CLOSE};
    struct timespec now;
    /* No id may come again after a restart: somebody would go on from the wrong message. */
    clock_gettime(CLOCK_REALTIME, &now);
    last_id = ((unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000)
              << 20;
    this_node = node;
    return libwebsock_configure_topics(ctx, "chat:", &chat) == 0 ? people_start(ctx, node) : -1;
}

void chat_stop(void) { people_stop(); }

/* The name of the room, or NULL: there is none of that path. */
static const char *room_of(const char *path)
{
    static const char allowed[] = LETTERS "0123456789-_";
    if (strcmp(path, "/chat") == 0) {
        return "lobby";
    }
    const char *name = strncmp(path, "/chat/", 6) == 0 ? path + 6 : "";
    size_t len = strspn(name, allowed);
    return len > 0 && len <= MAX_NAME && name[len] == '\0' ? name : NULL;
}

int chat_is_room(const char *path) { return room_of(path) != NULL; }

static const char *room_with(const libwebsock_client_state *client)
{
    return room_of(libwebsock_client_request(client)->path);
}

static struct topic topic_with(const libwebsock_client_state *client)
{
    struct topic topic;
    (void)snprintf(topic.name, sizeof topic.name, "chat:%s", room_with(client));
    return topic;
}

/* "4711", or "a-4711" on node a. */
static void make_id(char id[MAX_ID])
{
    pthread_mutex_lock(&lock);
    unsigned long long number = ++last_id;
    pthread_mutex_unlock(&lock);
    (void)snprintf(id, MAX_ID, "%s%s%llu", this_node != NULL ? this_node : "",
                   this_node != NULL ? "-" : "", number);
}

/* From where the client's request says it left off, or else with the last messages. */
static int enter(libwebsock_client_state *client)
{
    const char *query = libwebsock_client_request(client)->query;
    struct topic topic = topic_with(client);
    libwebsock_subscription how = {.size = sizeof how, .history = HISTORY};
    if (strncmp(query, "after=", 6) == 0) {
        how.after_id = query + 6;
        if (libwebsock_subscribe(client, topic.name, &how) == 0) {
            return 0;
        }
        if (errno != ENOENT) {
            return -1;
        }
        how.after_id = NULL; /* that message is not kept any more */
        (void)libwebsock_send_text(client, "{\"type\":\"gap\"}");
    }
    return libwebsock_subscribe(client, topic.name, &how);
}

static void say_node(libwebsock_client_state *client)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"type\":\"node\",\"node\":\"%s\"}", this_node);
    (void)libwebsock_send_text(client, text);
}

static int chat_onopen(libwebsock_client_state *client)
{
    if (this_node != NULL) {
        say_node(client);
    }
    if (enter(client) != 0 || people_enter(client, room_with(client)) != 0) {
        const char *why =
            errno == EAGAIN ? "the room is on a server that is away" : "no room is free";
        (void)libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, why);
    }
    return 0;
}

static int chat_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    char text[MAX_ID + CHAT_MAX_MESSAGE + 1], id[MAX_ID];
    struct topic topic = topic_with(client);
    if (msg->opcode != WS_OPCODE_TEXT) {
        return libwebsock_close_with_reason(client, WS_CLOSE_NOT_ALLOWED, "chat is text");
    }
    if (msg->payload_len > CHAT_MAX_MESSAGE) {
        return libwebsock_close_with_reason(client, WS_CLOSE_MESSAGE_TOO_BIG,
                                            "a chat message is at most 4096 bytes");
    }
    make_id(id);
    size_t len = (size_t)snprintf(text, sizeof text, "%s ", id);
    memcpy(text + len, msg->payload, (size_t)msg->payload_len);
    libwebsock_publication said = {.size = sizeof said, .topic = topic.name, .id = id};
    said.payload = text;
    said.payload_len = len + (size_t)msg->payload_len;
    if (libwebsock_publish(client->ctx, &said) != 0) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, "the room is full");
    }
    return 0;
}

static int chat_onclose(libwebsock_client_state *client)
{
    people_leave(client, room_with(client));
    return 0;
}

void chat_serve(libwebsock_client_state *client)
{
    client->onopen = chat_onopen;
    client->onmessage = chat_onmessage;
    client->onclose = chat_onclose;
}
