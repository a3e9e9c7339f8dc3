/* routes.c: the request hook. Serves /health, sends each WebSocket endpoint to its
 * callbacks and other requests to files.c and metrics.c, and refuses what is none of
 * these. /echo is so short that it lives here too. */
#include "routes.h"

#include "block.h"
#include "chat.h"
#include "cluster.h"
#include "files.h"
#include "metrics.h"
#include "prices.h"
#include "slow.h"
#include "transfer.h"

#include <string.h>
#include <strings.h>

/* For load balancers and tests. */
static int serve_health(libwebsock_client_state *client)
{
    (void)libwebsock_add_response_header(client, "Cache-Control", "no-store");
    return libwebsock_respond(client, 200, "text/plain; charset=utf-8", "ok\n", 3) == 0 ? 0 : 500;
}

/* A send that fails is the end of the connection, and there is nothing to clean
 * up: the callbacks say 0 in either case. */
static int echo_onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    size_t len = (size_t)msg->payload_len;
    if (msg->opcode == WS_OPCODE_BINARY) {
        (void)libwebsock_send_binary(client, msg->payload, len);
    } else {
        (void)libwebsock_send_text_with_length(client, msg->payload, len);
    }
    return 0;
}

/* "https://example.org" and "https://example.org/" are the same origin. */
static int same_origin(const char *origin, const char *allowed)
{
    size_t len = strlen(allowed);
    if (len > 0 && allowed[len - 1] == '/') {
        len--;
    }
    return strlen(origin) == len && strncasecmp(origin, allowed, len) == 0;
}

/* Any page of any site may open a WebSocket to here, and the browser sends its
 * Origin along; what it does not do is keep that page from talking (RFC 6455 10.2).
 * So only pages that came from this host and port may, and those of --origin. Over
 * TLS a page that came without is not one of ours, whatever its host: anybody on its
 * way may have written it. A client that is no browser sends no Origin, or whatever
 * it likes: this is no authentication. */
static int origin_is_allowed(libwebsock_client_state *client, const libwebsock_request *request)
{
    const struct demo *demo = client->ctx->user_data;
    const char *origin = libwebsock_request_header(request, "Origin");
    if (origin == NULL) {
        return 1;
    }
    for (size_t i = 0; i < demo->origin_count; i++) {
        if (same_origin(origin, demo->origins[i])) {
            return 1;
        }
    }
    if (libwebsock_client_tls(client) != NULL && strncasecmp(origin, "https://", 8) != 0) {
        return 0;
    }
    const char *host = libwebsock_request_header(request, "Host");
    const char *authority = strstr(origin, "://"); /* "null" has none */
    return host != NULL && authority != NULL && strcasecmp(authority + 3, host) == 0;
}

static int upgrade(libwebsock_client_state *client, const libwebsock_request *request)
{
    struct demo *demo = client->ctx->user_data;
    if (!origin_is_allowed(client, request)) {
        return 403;
    }
    /* accept_protocol fails when the client did not offer it, which is no error: it
     * goes on without a subprotocol. */
    if (chat_is_room(request->path)) {
        chat_serve(client);
        (void)libwebsock_accept_protocol(client, "chat");
    } else if (strcmp(request->path, "/echo") == 0) {
        client->onmessage = echo_onmessage;
        (void)libwebsock_accept_protocol(client, "echo");
    } else if (strcmp(request->path, "/block") == 0) {
        block_serve(client);
    } else if (strcmp(request->path, "/slow") == 0) {
        slow_serve(client);
    } else if (strcmp(request->path, "/transfer") == 0) {
        transfer_serve(client);
    } else if (strcmp(request->path, "/prices") == 0) {
        prices_serve(client);
    } else {
        stats_serve(demo->feed, client);
    }
    return 0;
}

static int is_endpoint(const char *path)
{
    static const char *const endpoints[] = {"/echo",   "/block",    "/slow",
                                            "/prices", "/transfer", "/stats"};
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        if (strcmp(path, endpoints[i]) == 0) {
            return 1;
        }
    }
    return chat_is_room(path);
}

/* A page of any site may send a POST to here, too. */
static int serve_end(libwebsock_client_state *client, const libwebsock_request *request)
{
    const struct demo *demo = client->ctx->user_data;
    if (strcmp(request->method, "POST") != 0) {
        (void)libwebsock_add_response_header(client, "Allow", "POST");
        return 405;
    }
    return origin_is_allowed(client, request) ? cluster_end(request, demo->node) : 403;
}

int demo_onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    const struct demo *demo = client->ctx->user_data;
    if (is_endpoint(request->path) && request->is_websocket) {
        return upgrade(client, request);
    }
    if (demo->node != NULL && strcmp(request->path, "/node/end") == 0) {
        return serve_end(client, request);
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        (void)libwebsock_add_response_header(client, "Allow", "GET, HEAD");
        return 405;
    }
    if (is_endpoint(request->path)) {
        return 0; /* plain HTTP to an endpoint: the library answers 426 */
    }
    if (request->is_websocket) {
        return 404;
    }
    if (strcmp(request->path, "/health") == 0) {
        return serve_health(client);
    }
    if (demo->node != NULL && strcmp(request->path, "/node") == 0) {
        return cluster_serve_name(client, demo->node);
    }
    return strcmp(request->path, "/metrics") == 0 ? metrics_serve(client)
                                                  : files_serve(client, request->path);
}
