/* chat.c: one room. Each text message goes to every member as it came, the
 * sender included; each coming and going is told to all as
 * {"type":"people","count":N}. Nothing is kept for those who come later.
 *
 * Sending to many must not wait for one. libwebsock_send_text blocks while its
 * peer does not read, up to send_timeout_ms, so a loop over all members would be
 * held up by a single sleeping phone, once for each message and each sender; and
 * libwebsock_send_all_text, which waits for nobody, sends to the clients of the
 * other endpoints too. So the room has a ring of the latest messages, and each
 * member a thread that walks along it and sends. Posting is a copy into the ring;
 * only a member's own writer ever waits for that member, and no lock is held while
 * it does. Whoever falls ROOM_BYTES behind is sent away with 1008, and may come
 * back. Memory is the ring's, however many read it and however slowly, and
 * everybody reads the same conversation in the same order. */
#include "chat.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_BYTES ((size_t)4 << 20) /* touched as it fills */

struct message {
    size_t len;
    char text[CHAT_MAX_MESSAGE];
};

struct chat_room {
    pthread_mutex_t lock; /* guards what follows, and leaving of the members */
    pthread_cond_t news;  /* posted has grown, or somebody is leaving */
    size_t people;
    unsigned long long posted; /* bytes so far; byte n is at ring[n % ROOM_BYTES] */
    char ring[ROOM_BYTES];     /* for each message its len, then its text */
};

struct member {
    struct chat_room *room;
    libwebsock_client_state *client; /* retained: the writer is none of its callbacks */
    pthread_t writer;
    unsigned long long next; /* where the next message to send begins; the writer's */
    int leaving;
};

static void ring_write(struct chat_room *room, const void *data, size_t len)
{
    size_t at = (size_t)(room->posted % ROOM_BYTES);
    size_t to_end = ROOM_BYTES - at < len ? ROOM_BYTES - at : len;
    memcpy(room->ring + at, data, to_end);
    memcpy(room->ring, (const char *)data + to_end, len - to_end);
    room->posted += len;
}

static void ring_read(struct member *member, void *data, size_t len)
{
    const char *ring = member->room->ring;
    size_t at = (size_t)(member->next % ROOM_BYTES);
    size_t to_end = ROOM_BYTES - at < len ? ROOM_BYTES - at : len;
    memcpy(data, ring + at, to_end);
    memcpy((char *)data + to_end, ring, len - to_end);
    member->next += len;
}

/* The caller holds the lock; len is at most CHAT_MAX_MESSAGE. */
static void room_post(struct chat_room *room, const char *text, size_t len)
{
    ring_write(room, &len, sizeof len);
    ring_write(room, text, len);
    pthread_cond_broadcast(&room->news);
}

/* The caller holds the lock. */
static void room_post_people(struct chat_room *room)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"type\":\"people\",\"count\":%zu}", room->people);
    room_post(room, text, (size_t)len);
}

enum next { NEXT_MESSAGE, NEXT_LOST, NEXT_LEAVING };

/* Waits for the member's next message and copies it out. */
static enum next take_next(struct member *member, struct message *copy)
{
    struct chat_room *room = member->room;
    enum next result = NEXT_MESSAGE;

    pthread_mutex_lock(&room->lock);
    while (member->next == room->posted && !member->leaving) {
        pthread_cond_wait(&room->news, &room->lock);
    }
    if (member->leaving) {
        result = NEXT_LEAVING;
    } else if (room->posted - member->next > ROOM_BYTES) {
        result = NEXT_LOST;
    } else {
        ring_read(member, &copy->len, sizeof copy->len);
        ring_read(member, copy->text, copy->len);
    }
    pthread_mutex_unlock(&room->lock);
    return result;
}

/* A member's writer. When a send fails, or waits so long that the library drops the
 * connection, onclose comes and joins us. */
static void *write_to_member(void *arg)
{
    struct member *member = arg;
    struct message message;
    enum next next;

    while ((next = take_next(member, &message)) == NEXT_MESSAGE) {
        if (libwebsock_send_text_with_length(member->client, message.text, message.len) != 0) {
            break;
        }
    }
    if (next == NEXT_LOST) {
        (void)libwebsock_close_with_reason(member->client, WS_CLOSE_POLICY_VIOLATION,
                                           "reads too slowly");
    }
    return NULL;
}

static void room_enter(struct member *member)
{
    struct chat_room *room = member->room;
    pthread_mutex_lock(&room->lock);
    member->next = room->posted; /* what was said before is not for the newcomer */
    room->people++;
    room_post_people(room);
    pthread_mutex_unlock(&room->lock);
}

static void room_leave(struct member *member)
{
    struct chat_room *room = member->room;
    pthread_mutex_lock(&room->lock);
    member->leaving = 1;
    room->people--;
    room_post_people(room); /* wakes the writer too */
    pthread_mutex_unlock(&room->lock);
}

/* client->data: the room until here, the member (or NULL) from here on. */
static int chat_onopen(libwebsock_client_state *client)
{
    struct member *member = calloc(1, sizeof *member);
    if (member != NULL) {
        member->room = client->data;
        member->client = libwebsock_retain(client);
        room_enter(member);
        if (pthread_create(&member->writer, NULL, write_to_member, member) != 0) {
            room_leave(member);
            libwebsock_release(client);
            free(member);
            member = NULL;
        }
    }
    client->data = member;
    if (member == NULL) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "the room is full");
    }
    return 0;
}

static int chat_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    struct member *member = client->data;
    if (member == NULL) {
        return 0;
    }
    if (msg->opcode != WS_OPCODE_TEXT) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_NOT_ALLOWED, "chat is text");
        return 0;
    }
    if (msg->payload_len > CHAT_MAX_MESSAGE) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_MESSAGE_TOO_BIG,
                                           "a chat message is at most 4096 bytes");
        return 0;
    }
    pthread_mutex_lock(&member->room->lock);
    room_post(member->room, msg->payload, (size_t)msg->payload_len);
    pthread_mutex_unlock(&member->room->lock);
    return 0;
}

/* The join is short: sends to a closed connection fail at once, one that is
 * waiting included. */
static int chat_onclose(libwebsock_client_state *client)
{
    struct member *member = client->data;
    if (member == NULL) {
        return 0;
    }
    room_leave(member);
    pthread_join(member->writer, NULL);
    libwebsock_release(client);
    free(member);
    return 0;
}

struct chat_room *chat_room_new(void)
{
    struct chat_room *room = calloc(1, sizeof *room);
    if (room != NULL) { /* neither of these fails on the systems we know */
        (void)pthread_mutex_init(&room->lock, NULL);
        (void)pthread_cond_init(&room->news, NULL);
    }
    return room;
}

void chat_room_free(struct chat_room *room)
{
    if (room != NULL) {
        pthread_cond_destroy(&room->news);
        pthread_mutex_destroy(&room->lock);
        free(room);
    }
}

void chat_serve(struct chat_room *room, libwebsock_client_state *client)
{
    client->data = room;
    client->onopen = chat_onopen;
    client->onmessage = chat_onmessage;
    client->onclose = chat_onclose;
}
