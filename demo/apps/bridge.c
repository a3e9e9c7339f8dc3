/* bridge.c: WebSocket to TCP, as websockify does it: for each client a TCP connection to one
 * server, whose bytes come as binary messages, and to which messages go as bytes. For noVNC:
 *
 *     build/demo/bridge 127.0.0.1:5900 [port [origin]]     default 1234, and pages of any origin
 *
 * A session writes to TCP and a thread reads there. Each waits for the slower side: none buffers.
 */
#include <websock/websock.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_S 2      /* for connect, and from one look of write_tcp to the next */
#define LINGER_MS 400 /* twice: for the server to end, too, when the client has closed */

struct target {
    const char *host, *port, *origin;
};

/* The TCP socket, from onrequest until the handle is freed. */
static int tcp_of(void *data) { return (int)(intptr_t)data; }
static void close_tcp(void *data) { (void)close(tcp_of(data)); }

static int open_socket(const struct addrinfo *address)
{
    int tcp = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct timeval time = {WAIT_S, 0};
    (void)setsockopt(tcp, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time); /* connect minds it, too */
    (void)setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tcp != -1 && connect(tcp, address->ai_addr, address->ai_addrlen) != 0) {
        (void)close(tcp);
        return -1;
    }
    return tcp;
}

static int connect_to(const struct target *target)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int tcp = -1;
    if (getaddrinfo(target->host, target->port, &want, &found) != 0) {
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL && tcp == -1; at = at->ai_next) {
        tcp = open_socket(at);
    }
    freeaddrinfo(found);
    return tcp;
}

/* Connects here, so that a client gets 502 if the server is away. */
static int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    const struct target *target = client->ctx->user_data;
    const char *origin = libwebsock_request_header(request, "Origin");
    if (target->origin != NULL && (origin == NULL || strcmp(origin, target->origin) != 0)) {
        return 403;
    }
    int tcp = request->is_websocket ? connect_to(target) : -1;
    if (tcp == -1) {
        return request->is_websocket ? 502 : 426;
    }
    libwebsock_set_data(client, (void *)(intptr_t)tcp, close_tcp); /* also if the upgrade fails */
    (void)libwebsock_accept_protocol(client, "binary"); /* noVNC offers it, others need not */
    return 0;
}

/* Until the server has ended. What the client does not get any more is dropped. */
static void *read_tcp(void *arg)
{
    libwebsock_client_state *client = arg;
    char bytes[16 << 10];
    ssize_t n;
    while ((n = recv(tcp_of(client->data), bytes, sizeof bytes, 0)) > 0) {
        (void)libwebsock_send_binary(client, bytes, (size_t)n);
    }
    (void)libwebsock_close_with_reason(client, n == 0 ? WS_CLOSE_NORMAL : WS_CLOSE_BAD_GATEWAY,
                                       NULL);
    return NULL;
}

static void write_tcp(libwebsock_client_state *client, const char *bytes, size_t len)
{
    for (int looks = 0; len > 0;) {
        ssize_t n = send(tcp_of(client->data), bytes, len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if ((errno != EAGAIN && errno != EINTR) || ++looks == 15 ||
                   !libwebsock_is_open(client)) {
            (void)libwebsock_close_with_reason(client, WS_CLOSE_BAD_GATEWAY, NULL);
            return;
        }
    }
}

/* Once a Close has been sent, here or by read_tcp, nothing but the end is received. Then the server
 * gets all that came before, and the end. What it sends by then is read and dropped: with unread
 * bytes, close(2) would be a reset, which could cost the server what is still on its way to it. */
static int session(libwebsock_client_state *client)
{
    struct pollfd end = {.fd = tcp_of(client->data)}; /* POLLHUP: of both directions */
    libwebsock_part part;
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_tcp, client) != 0) {
        return libwebsock_close_with_reason(client, WS_CLOSE_TRY_AGAIN_LATER, "no thread");
    }
    while (libwebsock_receive_part(client, &part, -1) == 1) {
        write_tcp(client, part.payload, part.len);
    }
    (void)shutdown(end.fd, SHUT_WR);
    if (client->close_info->code != WS_CLOSE_DIRTY && poll(&end, 1, LINGER_MS) == 0) {
        (void)libwebsock_abort(client, NULL); /* read_tcp's send may wait for it: now it fails */
        (void)poll(&end, 1, LINGER_MS);
    }
    (void)shutdown(end.fd, SHUT_RD); /* ends recv */
    return pthread_join(reader, NULL);
}

int main(int argc, char **argv)
{
    char *colon = argc > 1 ? strrchr(argv[1], ':') : NULL;
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    if (ctx == NULL || colon == NULL) {
        fputs("usage: bridge host:port [port [origin]]\n", stderr);
        return 2;
    }
    *colon = '\0';
    struct target target = {argv[1], colon + 1, argc > 3 ? argv[3] : NULL};
    ctx->user_data = &target;
    ctx->onrequest = onrequest;
    ctx->onsession = session;
    int failed = libwebsock_bind(ctx, "127.0.0.1", argc > 2 ? argv[2] : "1234") != 0;
    if (!failed) {
        printf("bridge: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
        (void)fflush(stdout);
        failed = libwebsock_wait(ctx) != 0; /* until SIGINT or SIGTERM */
    }
    libwebsock_free(ctx);
    return failed;
}
