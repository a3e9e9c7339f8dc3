/* chat.c: rooms. Each is a topic: the library keeps what was said and knows who is there. A
 * message goes to all in the room, its sender included, as its id, a space, and what was sent.
 * A newcomer gets the last messages first. Who comes back with ?after=ID gets what was said
 * since then: nothing is missing, and nothing comes twice.
 * How many people there are is a topic of its own: of several counts, only the newest matters. */
#include "chat.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HISTORY 20         /* messages that a newcomer gets */
#define KEPT_MESSAGES 1000 /* for those who come back, in each room */
#define KEPT_BYTES ((size_t)4 << 20)
#define KEPT_MS (60 * 60 * 1000)
#define MAX_NAME 64
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

struct topic {
    char name[MAX_NAME + 8];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards last_id; see publish_people */
static unsigned long long last_id;

int chat_configure(libwebsock_context *ctx)
{
    libwebsock_topic_options chat = {sizeof chat, KEPT_MESSAGES, KEPT_BYTES, KEPT_MS,
                                     LIBWEBSOCK_BEHIND_CLOSE};
    libwebsock_topic_options people = {sizeof people, 1, 0, KEPT_MS, LIBWEBSOCK_BEHIND_SKIP};
    /* No id may come again after a restart: somebody would go on from the wrong message. */
    last_id = (unsigned long long)time(NULL) << 24;
    return libwebsock_configure_topics(ctx, "chat:", &chat) == 0
               ? libwebsock_configure_topics(ctx, "people:", &people)
               : -1;
}

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

static struct topic topic_of(const libwebsock_client_state *client, const char *prefix)
{
    struct topic topic;
    (void)snprintf(topic.name, sizeof topic.name, "%s:%s", prefix,
                   room_of(libwebsock_client_request(client)->path));
    return topic;
}

/* Counts and publishes under the lock, so that the count that comes last is right. */
static void publish_people(libwebsock_client_state *client)
{
    struct topic topic = topic_of(client, "people");
    char text[64];
    pthread_mutex_lock(&lock);
    size_t count = libwebsock_topic_subscribers(client->ctx, topic.name);
    (void)snprintf(text, sizeof text, "{\"type\":\"people\",\"count\":%zu}", count);
    if (count > 0) {
        (void)libwebsock_publish_text(client->ctx, topic.name, text);
    }
    pthread_mutex_unlock(&lock);
}

/* From where the client's request says it left off, or else with the last messages. */
static int enter(libwebsock_client_state *client)
{
    const char *query = libwebsock_client_request(client)->query;
    struct topic topic = topic_of(client, "chat");
    libwebsock_subscription how = {.size = sizeof how, .history = HISTORY};
    if (strncmp(query, "after=", 6) == 0) {
        how.after_id = query + 6;
        if (libwebsock_subscribe(client, topic.name, &how) == 0) {
            return 0;
        }
        how.after_id = NULL; /* that message is not kept any more */
        (void)libwebsock_send_text(client, "{\"type\":\"gap\"}");
    }
    return libwebsock_subscribe(client, topic.name, &how);
}

static int chat_onopen(libwebsock_client_state *client)
{
    if (enter(client) != 0 ||
        libwebsock_subscribe(client, topic_of(client, "people").name, NULL) != 0) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, "no room is free");
        return 0;
    }
    publish_people(client);
    return 0;
}

static int chat_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    char text[24 + CHAT_MAX_MESSAGE], id[24];
    struct topic topic = topic_of(client, "chat");
    if (msg->opcode != WS_OPCODE_TEXT) {
        return libwebsock_close_with_reason(client, WS_CLOSE_NOT_ALLOWED, "chat is text");
    }
    if (msg->payload_len > CHAT_MAX_MESSAGE) {
        return libwebsock_close_with_reason(client, WS_CLOSE_MESSAGE_TOO_BIG,
                                            "a chat message is at most 4096 bytes");
    }
    pthread_mutex_lock(&lock);
    (void)snprintf(id, sizeof id, "%llu", ++last_id);
    pthread_mutex_unlock(&lock);
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
    publish_people(client);
    return 0;
}

void chat_serve(libwebsock_client_state *client)
{
    client->onopen = chat_onopen;
    client->onmessage = chat_onmessage;
    client->onclose = chat_onclose;
}
