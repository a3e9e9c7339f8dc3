/* libevent.c: a program with its own event loop. libevent accepts; each connected
 * socket is handed to libwebsock, which owns it from then on and serves it on its
 * own threads. Nobody calls libwebsock_wait.
 *
 *     libevent [port]    default: any free one */
#include <websock/websock.h>

#include <event2/event.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs on one of libwebsock's workers, not on the event loop's thread: it may
 * block, and must not touch the event base. */
static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    size_t len = (size_t)msg->payload_len;
    if (msg->opcode == WS_OPCODE_BINARY) {
        (void)libwebsock_send_binary(client, msg->payload, len);
    } else {
        (void)libwebsock_send_text_with_length(client, msg->payload, len);
    }
    return 0;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_len, void *arg)
{
    libwebsock_context *ctx = arg;
    (void)listener, (void)peer, (void)peer_len;
    if (libwebsock_bind_socket(ctx, fd) != 0) {
        evutil_closesocket(fd); /* still ours after a failure, which has been logged */
    }
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct event_base *base = arg;
    (void)signal_number, (void)what;
    event_base_loopbreak(base);
}

static int print_url(struct evconnlistener *listener)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len) != 0) {
        return -1;
    }
    printf("libevent: ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    (void)fflush(stdout); /* it serves even without a stdout */
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0));

    (void)signal(SIGPIPE, SIG_IGN); /* the reader of a pipe may end before us */
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    struct event_base *base = event_base_new();
    if (ctx == NULL || base == NULL) {
        perror("libevent: init");
        return 1;
    }
    ctx->onopen = NULL; /* instead of the default ones, which print */
    ctx->onmessage = onmessage;
    ctx->onclose = NULL;

    struct evconnlistener *listener = evconnlistener_new_bind(
        base, on_accept, ctx, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, -1,
        (struct sockaddr *)&address, sizeof address);
    struct event *interrupt = evsignal_new(base, SIGINT, on_signal, base);
    struct event *terminate = evsignal_new(base, SIGTERM, on_signal, base);
    if (listener == NULL || interrupt == NULL || terminate == NULL ||
        event_add(interrupt, NULL) != 0 || event_add(terminate, NULL) != 0 ||
        print_url(listener) != 0) {
        perror("libevent: listen");
        return 1;
    }
    event_base_dispatch(base); /* until SIGINT or SIGTERM */

    evconnlistener_free(listener); /* first: nobody new */
    libwebsock_free(ctx);          /* clients get 1001, and drain_timeout_ms to answer */
    event_free(interrupt);
    event_free(terminate);
    event_base_free(base);
    return 0;
}
