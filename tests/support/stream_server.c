/* stream_server.c: a server of large messages for interop/streams_test.py, with compression. What
 * comes to /session comes back as a whole, by a session; what comes to /parts and /session-parts
 * comes back in fragments, as it comes, by onpart and by a session. To /file, each text is answered
 * with the file, as one message. The body of a plain request to /upload comes back as the answer's.
 * Prints its address. The argument is the file; behind it may be a
 * key file and a certificate file: then it speaks TLS. SIGTERM ends it. */
#include <websock/websock.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST (64 << 20) /* of what comes as a whole; also the longest frame then */

static int file;

static int whole_session(libwebsock_client_state *client)
{
    libwebsock_message msg;
    while (libwebsock_receive(client, &msg, -1) == 1) {
        libwebsock_send_fragment(client, msg.payload, (size_t)msg.payload_len,
                                 (int)msg.opcode | WS_FRAGMENT_FIN);
    }
    return 0;
}

static int send_back(libwebsock_client_state *client, libwebsock_part *part)
{
    const int opcode = part->offset == 0 ? (int)part->opcode : WS_OPCODE_CONTINUE;
    return libwebsock_send_fragment(client, part->payload, part->len,
                                    opcode | (part->fin ? WS_FRAGMENT_FIN : 0));
}

static int session_in_parts(libwebsock_client_state *client)
{
    libwebsock_part part;
    while (libwebsock_receive_part(client, &part, -1) == 1) {
        send_back(client, &part);
    }
    return 0;
}

static int send_the_file(libwebsock_client_state *client, libwebsock_message *msg)
{
    struct stat about;
    (void)msg;
    if (fstat(file, &about) != 0) {
        return -1;
    }
    return libwebsock_send_file(client, WS_OPCODE_BINARY, file, 0,
                                (unsigned long long)about.st_size);
}

static int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    if (strcmp(request->path, "/session") == 0) {
        client->onsession = whole_session;
    } else if (strcmp(request->path, "/session-parts") == 0) {
        client->onsession = session_in_parts;
    } else if (strcmp(request->path, "/parts") == 0) {
        client->onpart = send_back;
    } else if (strcmp(request->path, "/file") == 0) {
        client->onmessage = send_the_file;
    } else if (strcmp(request->path, "/upload") == 0) {
        return libwebsock_respond(client, 200, NULL, request->body, request->body_len) == 0 ? 0
                                                                                            : 500;
    } else {
        return 404;
    }
    return 0;
}

static int serve(libwebsock_context *ctx, char **argv)
{
    int bound = argv[2] != NULL ? libwebsock_bind_ssl(ctx, "127.0.0.1", "0", argv[2], argv[3])
                                : libwebsock_bind(ctx, "127.0.0.1", "0");
    if (bound != 0) {
        return bound;
    }
    printf("%s://127.0.0.1:%d/\n", argv[2] != NULL ? "wss" : "ws", libwebsock_port(ctx));
    fflush(stdout);
    return libwebsock_wait(ctx);
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, LARGEST);
    int result = -1;
    file = argc == 2 || argc == 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (file == -1 || ctx == NULL) {
        fputs("stream_server: FILE [KEYFILE CERTFILE]\n", stderr);
    } else {
        ctx->max_message_payload = LARGEST;
        ctx->max_request_body = LARGEST;
        ctx->compression = 1;
        ctx->onopen = NULL;
        ctx->onclose = NULL;
        ctx->onrequest = onrequest;
        result = serve(ctx, argv);
    }
    libwebsock_free(ctx);
    close(file);
    return result == 0 ? 0 : 2;
}
