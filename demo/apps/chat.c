/* chat.c: a chat with login, rooms, presence and history. There is no list of clients: a room is a
 * topic, who is there is another, with names as keys, and a name in a room is a third: it is taken
 * while that has a subscriber.
 *
 *     build/demo/chat [port [seconds]]     default 1234, and 600 seconds of silence
 *     python3 -m websockets 'ws://127.0.0.1:1234/lobby?name=ann'
 *
 * The path is the room. The name is a cookie, or a parameter of the query. Where it matters who
 * somebody is, have a login set a secret cookie, and look the name up by that. A client gets "+bob"
 * (is there), "-bob" (has left) and "bob: hello"; what it sends is said in its room. */
#include <websock/websock.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 32
#define MAX_SAID 4000
#define KEPT 10000 /* messages of a room, and people that have been there */

struct chat {
    int silence_ms;
    pthread_mutex_t lock; /* makes one step of looking who has a name and telling others */
};

struct user { /* client->data: only its own callbacks use it, one at a time */
    int has_spoken;
    char name[MAX_NAME + 1];
    char own[2 * MAX_NAME + 10], room[MAX_NAME + 10], presence[MAX_NAME + 10]; /* topics */
};

static int is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return len > 0 && len <= MAX_NAME && text[len] == '\0';
}

/* Browsers send cookies along with what pages of other sites ask for. */
static int is_own_page(const libwebsock_request *request)
{
    const char *origin = libwebsock_request_header(request, "Origin"); /* only browsers' */
    const char *host = libwebsock_request_header(request, "Host");
    const char *from = origin != NULL ? strstr(origin, "://") : NULL;
    return origin == NULL || (from != NULL && host != NULL && strcmp(from + 3, host) == 0);
}

static int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    struct user *user = calloc(1, sizeof *user);
    libwebsock_set_data(client, user, free); /* also if it is refused below */
    if (user == NULL || !is_own_page(request) || !is_name(request->path + 1)) {
        return user == NULL ? 503 : 403;
    }
    if ((libwebsock_cookie(request, "name", user->name, sizeof user->name) != 0 &&
         libwebsock_query_parameter(request, "name", user->name, sizeof user->name) != 0) ||
        !is_name(user->name)) {
        return 401;
    }
    (void)snprintf(user->own, sizeof user->own, "name/%s/%s", request->path + 1, user->name);
    (void)snprintf(user->room, sizeof user->room, "room/%s", request->path + 1);
    (void)snprintf(user->presence, sizeof user->presence, "presence/%s", request->path + 1);
    return libwebsock_topic_subscribers(client->ctx, user->own) == 0 ? 0 : 409;
}

/* Pings keep a connection, but do not say anything. */
static void look(libwebsock_client_state *client, void *arg)
{
    struct user *user = arg;
    if (!user->has_spoken) {
        (void)libwebsock_close_with_reason(client, WS_CLOSE_POLICY_VIOLATION, "silent too long");
    }
    user->has_spoken = 0;
}

/* The key makes the newest "+bob" or "-bob" replace the one before. */
static int say_presence(libwebsock_client_state *client, char sign)
{
    const struct user *user = client->data;
    char text[MAX_NAME + 2];
    libwebsock_publication what = {.size = sizeof what, .topic = user->presence, .key = user->name};
    what.payload = text;
    what.payload_len = (size_t)snprintf(text, sizeof text, "%c%s", sign, user->name);
    return libwebsock_publish(client->ctx, &what);
}

static int onopen(libwebsock_client_state *client)
{
    libwebsock_subscription newest = {.size = sizeof newest, .history = 50};
    libwebsock_subscription all = {.size = sizeof all, .history = KEPT};
    struct chat *chat = client->ctx->user_data;
    struct user *user = client->data;
    pthread_mutex_lock(&chat->lock);
    int is_in = libwebsock_topic_subscribers(client->ctx, user->own) == 0 &&
                libwebsock_subscribe(client, user->own, NULL) == 0 &&
                libwebsock_subscribe(client, user->presence, &all) == 0 &&
                libwebsock_subscribe(client, user->room, &newest) == 0 &&
                say_presence(client, '+') == 0;
    pthread_mutex_unlock(&chat->lock);
    is_in = is_in && libwebsock_every(client->ctx, client, chat->silence_ms, look, user) != 0;
    return is_in ? 0 : libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, "no place");
}

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    struct user *user = client->data;
    char text[MAX_NAME + 2 + MAX_SAID + 1]; /* max_message_payload is MAX_SAID */
    user->has_spoken = 1;
    (void)snprintf(text, sizeof text, "%s: %s", user->name, msg->payload);
    int is_said = msg->opcode == WS_OPCODE_TEXT &&
                  libwebsock_publish_text(client->ctx, user->room, text) == 0;
    return is_said ? 0 : libwebsock_close_with_reason(client, WS_CLOSE_NOT_ALLOWED, "not said");
}

/* The name's topic has lost this client by now, and somebody may have come back with it. */
static int onclose(libwebsock_client_state *client)
{
    struct chat *chat = client->ctx->user_data;
    const struct user *user = client->data;
    pthread_mutex_lock(&chat->lock);
    if (libwebsock_topic_subscribers(client->ctx, user->own) == 0) {
        (void)say_presence(client, '-'); /* fails when the server stops: nobody is left to tell */
    }
    pthread_mutex_unlock(&chat->lock);
    return 0;
}

int main(int argc, char **argv)
{
    struct chat chat = {argc > 2 ? atoi(argv[2]) * 1000 : 600000, PTHREAD_MUTEX_INITIALIZER};
    libwebsock_topic_options kept = {sizeof kept, KEPT, 2 << 20, 0, LIBWEBSOCK_BEHIND_CLOSE};
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, MAX_SAID);
    if (ctx == NULL || libwebsock_configure_topics(ctx, "", &kept) != 0 ||
        libwebsock_bind(ctx, "127.0.0.1", argc > 1 ? argv[1] : "1234") != 0) {
        return 1; /* the log says why */
    }
    ctx->user_data = &chat;
    ctx->max_message_payload = MAX_SAID;
    ctx->onrequest = onrequest;
    ctx->onopen = onopen;
    ctx->onmessage = onmessage;
    ctx->onclose = onclose;
    ctx->onframetoolarge = NULL; /* the client is told 1009 */
    printf("chat: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
    (void)fflush(stdout);
    int failed = libwebsock_wait(ctx) != 0; /* until SIGINT or SIGTERM */
    libwebsock_free(ctx);
    return failed;
}
