/* tls_server.c: an echo server with every option of libwebsock_bind_tls, for
 * interop/tls_test.py. Prints its address, then a line for each client that comes, with
 * what TLS has agreed on, and one for each that goes. SIGTERM ends it. */
#include <websock/websock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOSTS 8

static int onopen(libwebsock_client_state *client)
{
    const libwebsock_tls_info *tls = libwebsock_client_tls(client);
    if (tls == NULL) {
        return 0;
    }
    printf("open %s resumed=%d server_name=%s client_subject=%s\n", tls->version, tls->resumed,
           tls->server_name, tls->client_subject);
    fflush(stdout);
    return 0;
}

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    return libwebsock_send_fragment(client, msg->payload, (size_t)msg->payload_len,
                                    (int)msg->opcode | WS_FRAGMENT_FIN);
}

static int onclose(libwebsock_client_state *client)
{
    printf("close %d %s\n", client->close_info->code, client->close_info->reason);
    fflush(stdout);
    return 0;
}

/* Every option has a value; --host is followed by NAME KEYFILE CERTFILE. Returns 0, or -1
 * for anything else. */
static int parse(libwebsock_context *ctx, libwebsock_tls_options *options,
                 libwebsock_tls_host *hosts, char **argv)
{
    for (; argv[0] != NULL && argv[1] != NULL; argv += 2) {
        const char *name = argv[0], *value = argv[1];
        if (strcmp(name, "--key") == 0) {
            options->keyfile = value;
        } else if (strcmp(name, "--cert") == 0) {
            options->certfile = value;
        } else if (strcmp(name, "--client-ca") == 0) {
            options->client_ca_file = value;
        } else if (strcmp(name, "--client-certificate-demanded") == 0) {
            options->client_certificate_demanded = atoi(value);
        } else if (strcmp(name, "--min-version") == 0) {
            options->min_version = strcmp(value, "1.3") == 0 ? LIBWEBSOCK_TLS_1_3
                                                             : LIBWEBSOCK_TLS_1_2;
        } else if (strcmp(name, "--handshake-timeout-ms") == 0) {
            ctx->handshake_timeout_ms = atoi(value);
        } else if (strcmp(name, "--host") == 0 && options->host_count < MAX_HOSTS &&
                   argv[2] != NULL && argv[3] != NULL) {
            libwebsock_tls_host *host = &hosts[options->host_count++];
            host->host = value;
            host->keyfile = argv[2];
            host->certfile = argv[3];
            argv += 2;
        } else {
            return -1;
        }
    }
    return argv[0] == NULL ? 0 : -1;
}

int main(int argc, char **argv)
{
    libwebsock_tls_options options;
    libwebsock_tls_host hosts[MAX_HOSTS];
    memset(&options, 0, sizeof options);
    memset(hosts, 0, sizeof hosts);
    options.size = sizeof options;
    options.hosts = hosts;

    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 0);
    if (ctx == NULL) {
        return 1;
    }
    ctx->onopen = onopen;
    ctx->onmessage = onmessage;
    ctx->onclose = onclose;
    int result = -1;
    if (argc < 2 || parse(ctx, &options, hosts, argv + 1) != 0) {
        fputs("tls_server: bad option\n", stderr);
    } else if (libwebsock_bind_tls(ctx, "127.0.0.1", "0", &options) == 0) {
        printf("wss://127.0.0.1:%d/\n", libwebsock_port(ctx));
        fflush(stdout);
        result = libwebsock_wait(ctx);
    }
    libwebsock_free(ctx);
    return result == 0 ? 0 : 2;
}
