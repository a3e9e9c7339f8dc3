/* files.c: files to and from a directory, in constant memory. An upload is written part by part,
 * and gets its name when it is complete: what is cut off leaves no file. A download is read while
 * it leaves. Both block their own client's callback, and nobody else.
 *
 *     build/demo/files directory [port]     default 1234
 *
 *     ws://127.0.0.1:1234/put?name=NAME     one binary message is the file; "stored" answers it
 *     ws://127.0.0.1:1234/get?name=NAME     the file comes as a binary message
 *
 * Then the connection is closed. Whoever reaches the port may do both: chat.c has a login. */
#include <websock/websock.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (4ULL << 30) /* bytes of an upload */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* client->data, from onrequest until the handle is freed. Its callbacks use it one at a time. */
struct transfer {
    FILE *file; /* NULL: it is over; what still comes is dropped */
    char name[101];
    char part[sizeof ".part-XXXXXX"]; /* the file's name until it is complete; then "" */
};

static void end_transfer(struct transfer *transfer)
{
    if (transfer->file != NULL) {
        (void)fclose(transfer->file);
        transfer->file = NULL;
    }
    if (transfer->part[0] != '\0') {
        (void)unlink(transfer->part);
        transfer->part[0] = '\0';
    }
}

static void free_transfer(void *data)
{
    end_transfer(data);
    free(data);
}

/* Without '/' it stays in this directory. A first '.' would be "..", or a hidden file. */
static int is_allowed(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && name[strspn(name, LETTERS "0123456789._-")] == '\0';
}

static int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    int is_get = strcmp(request->path, "/get") == 0;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        return 503;
    }
    libwebsock_set_data(client, transfer, free_transfer); /* also if it is refused below */
    if (!is_get && strcmp(request->path, "/put") != 0) {
        return 404;
    }
    if (libwebsock_query_parameter(request, "name", transfer->name, sizeof transfer->name) != 0 ||
        !is_allowed(transfer->name)) {
        return 400;
    }
    /* O_NONBLOCK, or to open a FIFO would wait. */
    int fd = is_get ? open(transfer->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                    : mkstemp(strcpy(transfer->part, ".part-XXXXXX"));
    transfer->file = fd != -1 ? fdopen(fd, is_get ? "rb" : "wb") : NULL;
    if (transfer->file == NULL && fd != -1) {
        (void)close(fd);
    }
    client->onopen = is_get ? client->onopen : NULL;
    client->onpart = is_get ? NULL : client->onpart;
    return transfer->file != NULL ? 0 : is_get ? 404 : 503;
}

static int download(libwebsock_client_state *client)
{
    const struct transfer *transfer = client->data;
    struct stat about = {.st_size = 0};
    int fd = fileno(transfer->file), is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    unsigned long long len = (unsigned long long)about.st_size;
    if (!is_file || libwebsock_send_file(client, WS_OPCODE_BINARY, fd, 0, len) != 0) {
        return libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, "cannot be read");
    }
    return libwebsock_close(client);
}

/* Once it is on the disk: after a crash there is all of it, or nothing. */
static int complete(struct transfer *transfer)
{
    int failed = fflush(transfer->file) != 0 || fsync(fileno(transfer->file)) != 0 ||
                 rename(transfer->part, transfer->name) != 0;
    if (!failed) {
        transfer->part[0] = '\0';
    }
    return failed ? -1 : 0;
}

static int upload(libwebsock_client_state *client, libwebsock_part *part)
{
    struct transfer *transfer = client->data;
    unsigned short code = WS_CLOSE_NORMAL;
    if (transfer->file == NULL) {
        return 0;
    }
    if (part->opcode != WS_OPCODE_BINARY) {
        code = WS_CLOSE_NOT_ALLOWED;
    } else if (part->offset + part->len > MAX_FILE) {
        code = WS_CLOSE_MESSAGE_TOO_BIG;
    } else if (fwrite(part->payload, 1, part->len, transfer->file) != part->len ||
               (part->fin && complete(transfer) != 0)) {
        code = WS_CLOSE_UNEXPECTED_ERROR;
    } else if (!part->fin) {
        return 0;
    } else {
        (void)libwebsock_send_text(client, "stored");
    }
    end_transfer(transfer);
    return libwebsock_close_with_reason(client, code, NULL);
}

int main(int argc, char **argv)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    if (ctx == NULL || argc < 2 || chdir(argv[1]) != 0) {
        perror("files directory [port]");
        libwebsock_free(ctx);
        return 2;
    }
    ctx->onrequest = onrequest;
    ctx->onopen = download;
    ctx->onpart = upload;
    ctx->onmessage = NULL;
    ctx->onclose = NULL;
    int failed = libwebsock_bind(ctx, "127.0.0.1", argc > 2 ? argv[2] : "1234") != 0;
    if (!failed) {
        printf("files: ws://127.0.0.1:%d/\n", libwebsock_port(ctx));
        (void)fflush(stdout);
        failed = libwebsock_wait(ctx) != 0; /* until SIGINT or SIGTERM */
    }
    libwebsock_free(ctx);
    return failed;
}
