/* transfer.c: /transfer. A client sends a file as one message, of any size: it comes in parts, each
 * of which is written to a file of our own, so memory has none of it. "back" sends it all back, and
 * libwebsock_send_file reads it piece by piece, too. Writing and reading block this callback, and
 * nobody else's.
 *
 * Whoever reaches the server may come, so there are only so many files, each of at most
 * user_data's max_file bytes. They have no name in the file system, so none outlives its
 * connection, whatever becomes of this process. */
#include "transfer.h"

#include "routes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 4
#define STEP ((unsigned long long)256 << 10) /* bytes from one report to the next */
#define PIECE ((unsigned long long)1 << 20)  /* a browser shows none of a message before its end */

/* A client's, as its data. Only its own callbacks use it, one at a time. */
struct transfer {
    int fd;
    unsigned long long size; /* of the last message that came to its end */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards files */
static unsigned files;

/* Says whether there was room for one more. */
static int enter(void)
{
    pthread_mutex_lock(&lock);
    int room = files < MAX_FILES;
    files += room ? 1 : 0;
    pthread_mutex_unlock(&lock);
    return room;
}

static void leave(void)
{
    pthread_mutex_lock(&lock);
    files--;
    pthread_mutex_unlock(&lock);
}

/* A file without a name, which is gone when it is closed. Returns -1 if there is none. */
static int open_nameless(void)
{
    const char *directory = getenv("TMPDIR");
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/websock-demo-XXXXXX",
                       directory != NULL && directory[0] != '\0' ? directory : "/tmp");
    int fd = len > 0 && (size_t)len < sizeof path ? mkstemp(path) : -1;
    if (fd != -1) {
        (void)unlink(path);
    }
    return fd;
}

/* NULL: it cannot be made. */
static struct transfer *new_transfer(void)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        return NULL;
    }
    transfer->fd = open_nameless();
    if (transfer->fd == -1) {
        free(transfer);
        return NULL;
    }
    return transfer;
}

/* Parts that wait by then may still come: transfer_onpart drops them. */
static int refuse(libwebsock_client_state *client, unsigned short code, const char *reason)
{
    (void)libwebsock_close_with_reason(client, code, reason);
    return -1;
}

/* Returns 0, or -1: the disk is full, for example. */
static int write_all(int fd, const char *bytes, size_t len, unsigned long long offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)offset);
        if (n <= 0) {
            return -1;
        }
        bytes += n;
        len -= (size_t)n;
        offset += (unsigned long long)n;
    }
    return 0;
}

/* Tells how far it is. It never waits: a client that does not read is not to hold up its own
 * upload. */
static int report(libwebsock_client_state *client, unsigned long long stored, int complete)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"stored\":%llu,\"complete\":%s}", stored,
                       complete ? "true" : "false");
    return libwebsock_queue_text(client, text, (size_t)len);
}

static int store(libwebsock_client_state *client, struct transfer *transfer,
                 const libwebsock_part *part)
{
    const struct demo *demo = client->ctx->user_data;
    const unsigned long long stored = part->offset + part->len;
    if (stored > demo->max_file) {
        char reason[80];
        (void)snprintf(reason, sizeof reason, "a file may have %llu bytes", demo->max_file);
        return refuse(client, WS_CLOSE_MESSAGE_TOO_BIG, reason);
    }
    if ((part->offset == 0 && ftruncate(transfer->fd, 0) != 0) ||
        write_all(transfer->fd, part->payload, part->len, part->offset) != 0) {
        return refuse(client, WS_CLOSE_UNEXPECTED_ERROR, "the file cannot be stored");
    }
    transfer->size = part->fin ? stored : 0;
    if (part->fin || stored / STEP > part->offset / STEP) {
        return report(client, stored, part->fin);
    }
    return 0;
}

/* In several messages, or a page could not show how far it is. Returns 0, or -1: the client has
 * left, or was dropped. */
static int send_back(libwebsock_client_state *client, const struct transfer *transfer)
{
    for (unsigned long long offset = 0; offset < transfer->size; offset += PIECE) {
        const unsigned long long left = transfer->size - offset;
        if (libwebsock_send_file(client, WS_OPCODE_BINARY, transfer->fd, offset,
                                 left < PIECE ? left : PIECE) != 0) {
            return -1;
        }
    }
    return libwebsock_send_text(client, "{\"sent\":true}");
}

/* "back" may come in several parts, and anything as long will do. */
static int obey(libwebsock_client_state *client, const struct transfer *transfer,
                const libwebsock_part *part)
{
    if (part->offset + part->len > strlen("back")) {
        return refuse(client, WS_CLOSE_POLICY_VIOLATION, "unknown command");
    }
    return part->fin ? send_back(client, transfer) : 0;
}

static int transfer_onpart(libwebsock_client_state *client, libwebsock_part *part)
{
    struct transfer *transfer = client->data;
    if (transfer == NULL) {
        return 0; /* it has been refused */
    }
    return part->opcode == WS_OPCODE_BINARY ? store(client, transfer, part)
                                            : obey(client, transfer, part);
}

static int transfer_onopen(libwebsock_client_state *client)
{
    if (!enter()) {
        char reason[64];
        (void)snprintf(reason, sizeof reason, "%d files are here already", MAX_FILES);
        return refuse(client, WS_CLOSE_TRY_AGAIN_LATER, reason);
    }
    client->data = new_transfer();
    if (client->data == NULL) {
        leave();
        return refuse(client, WS_CLOSE_UNEXPECTED_ERROR, "there is no room for a file");
    }
    return 0;
}

static int transfer_onclose(libwebsock_client_state *client)
{
    struct transfer *transfer = client->data;
    if (transfer != NULL) {
        (void)close(transfer->fd);
        free(transfer);
        leave();
    }
    return 0;
}

void transfer_serve(libwebsock_client_state *client)
{
    client->onopen = transfer_onopen;
    client->onpart = transfer_onpart;
    client->onclose = transfer_onclose;
    /* Files are mostly compressed already, and a page would see another size go. */
    (void)libwebsock_refuse_compression(client);
}
