/* routes.c: the request hook. Serves the page, /health and /metrics, sends each
 * WebSocket endpoint to its callbacks, and refuses what is none of these. /echo is so
 * short that it lives here too. */
#include "routes.h"

#include "metrics.h"
#include "page.h" /* page_html, generated from page.html */

#include <string.h>
#include <strings.h>

/* Everything the page needs is in the page: nothing else may be loaded, framed or
 * talked to. The last two headers give it the fine-grained clock that a round trip
 * of 50 microseconds is measured with. */
static const char *const page_headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-cache"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Embedder-Policy", "require-corp"},
};

static int serve_page(libwebsock_client_state *client)
{
    for (size_t i = 0; i < sizeof page_headers / sizeof page_headers[0]; i++) {
        if (libwebsock_add_response_header(client, page_headers[i][0], page_headers[i][1]) != 0) {
            return 500;
        }
    }
    return libwebsock_respond(client, 200, "text/html; charset=utf-8", page_html,
                              sizeof page_html) == 0
               ? 0
               : 500;
}

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
    if (strcmp(request->path, "/chat") == 0) {
        chat_serve(demo->room, client);
        (void)libwebsock_accept_protocol(client, "chat");
    } else if (strcmp(request->path, "/echo") == 0) {
        client->onmessage = echo_onmessage;
        (void)libwebsock_accept_protocol(client, "echo");
    } else {
        stats_serve(demo->feed, client);
    }
    return 0;
}

static int is_one_of(const char *path, const char *const *paths)
{
    while (*paths != NULL && strcmp(path, *paths) != 0) {
        paths++;
    }
    return *paths != NULL;
}

int demo_onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    static const char *const pages[] = {"/", "/index.html", NULL};
    static const char *const endpoints[] = {"/chat", "/echo", "/stats", NULL};

    if (is_one_of(request->path, endpoints) && request->is_websocket) {
        return upgrade(client, request);
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        (void)libwebsock_add_response_header(client, "Allow", "GET, HEAD");
        return 405;
    }
    if (is_one_of(request->path, endpoints)) {
        return 0; /* plain HTTP to an endpoint: the library answers 426 */
    }
    if (request->is_websocket) {
        return 404;
    }
    if (is_one_of(request->path, pages)) {
        return serve_page(client);
    }
    if (strcmp(request->path, "/metrics") == 0) {
        return metrics_serve(client);
    }
    return strcmp(request->path, "/health") == 0 ? serve_health(client) : 404;
}
