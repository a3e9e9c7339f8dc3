/* files.c: what is compiled into the program, so that it is one file to copy: the page,
 * and as plain text what the page links to. The Makefile makes files_built_in.h of them. */
#include "files.h"

#include "files_built_in.h"

#include <stddef.h>
#include <string.h>

typedef const char *const header[2];

/* Everything the page needs is in the page: nothing else may be loaded, framed or
 * talked to. Its slow reader is a worker made of its own text (blob:). The last two
 * headers give it the fine-grained clock that a round trip of 50 microseconds is
 * measured with, and memory that the worker shares. */
static header page_headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
     "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-cache"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Embedder-Policy", "require-corp"},
    {NULL, NULL},
};

static header text_headers[] = {
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Cache-Control", "no-cache"},
    {NULL, NULL},
};

static const char html[] = "text/html; charset=utf-8";
static const char text[] = "text/plain; charset=utf-8";

static const struct file {
    const char *path;
    const char *type;
    header *headers;
    const unsigned char *bytes;
    size_t len;
} files[] = {
    {"/", html, page_headers, page_html, sizeof page_html},
    {"/index.html", html, page_headers, page_html, sizeof page_html},
    {"/README.md", text, text_headers, README_md, sizeof README_md},
    {"/libwebsock.7", text, text_headers, libwebsock_7, sizeof libwebsock_7},
    {"/websock.h", text, text_headers, websock_h, sizeof websock_h},
    {"/server.c", text, text_headers, server_c, sizeof server_c},
    {"/block.c", text, text_headers, block_c, sizeof block_c},
    {"/slow.c", text, text_headers, slow_c, sizeof slow_c},
    {"/chat.c", text, text_headers, chat_c, sizeof chat_c},
    {"/people.c", text, text_headers, people_c, sizeof people_c},
    {"/cluster.c", text, text_headers, cluster_c, sizeof cluster_c},
    {"/prices.c", text, text_headers, prices_c, sizeof prices_c},
    {"/transfer.c", text, text_headers, transfer_c, sizeof transfer_c},
};

static int serve(libwebsock_client_state *client, const struct file *file)
{
    for (header *field = file->headers; (*field)[0] != NULL; field++) {
        if (libwebsock_add_response_header(client, (*field)[0], (*field)[1]) != 0) {
            return 500;
        }
    }
    return libwebsock_respond(client, 200, file->type, file->bytes, file->len) == 0 ? 0 : 500;
}

int files_serve(libwebsock_client_state *client, const char *path)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return serve(client, &files[i]);
        }
    }
    return 404;
}
