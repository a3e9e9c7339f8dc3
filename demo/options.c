/* options.c: reads the command line of websock-demo. What the options do is in
 * server.c; their manual is websock-demo(1). */
#include "options.h"

#include "cluster.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: websock-demo [--host ADDRESS] [--port PORT] [--cert FILE --key FILE]\n"
    "                    [--chain FILE] [--max-frame BYTES] [--max-file BYTES]\n"
    "                    [--send-timeout SECONDS] [--no-compression] [--origin URL]\n"
    "                    [--node NAME [--redis SERVER]] [--help]\n"
    "  --host ADDRESS          address or name to listen on (127.0.0.1)\n"
    "  --port PORT             port to listen on; 0 is any free one (8080)\n"
    "  --cert FILE             speak TLS, with this certificate (PEM); SIGHUP reads it again\n"
    "  --key FILE              the certificate's private key (PEM)\n"
    "  --chain FILE            certificates between it and its root, if --cert lacks them\n"
    "  --max-frame BYTES       largest payload of one frame (16777216)\n"
    "  --max-file BYTES        largest file to send and get back; 4 are kept at most (268435456)\n"
    "  --send-timeout SECONDS  drop a client that takes nothing for so long (30)\n"
    "  --no-compression        send and take messages as they are, whatever clients offer\n"
    "  --origin URL            let pages of this origin connect too; may be repeated\n"
    "  --node NAME             the name of this node among several\n"
    "  --redis SERVER          HOST:PORT or unix:PATH of the server that all nodes share\n"
    "  -h, --help              print this\n";

static enum parsed bad(const char *what, const char *text)
{
    fprintf(stderr, "websock-demo: %s: %s\n%s", what, text, usage);
    return PARSED_BAD;
}

static int parse_size(const char *text, size_t *size)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') { /* strtoull would take " -1" */
        return -1;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value == 0 || value > SIZE_MAX / 2) {
        return -1;
    }
    *size = (size_t)value;
    return 0;
}

static enum parsed set_send_timeout(struct options *options, const char *text)
{
    size_t seconds;
    if (parse_size(text, &seconds) != 0 || seconds > 3600) {
        return bad("not a number of seconds from 1 to 3600", text);
    }
    options->send_timeout_ms = (int)seconds * 1000;
    return PARSED_RUN;
}

static enum parsed add_origin(struct options *options, const char *origin)
{
    if (strstr(origin, "://") == NULL) {
        return bad("not an origin like https://example.org", origin);
    }
    if (options->origin_count == MAX_ORIGINS) {
        return bad("too many origins", origin);
    }
    options->origins[options->origin_count++] = origin;
    return PARSED_RUN;
}

static enum parsed set_node(struct options *options, const char *name)
{
    if (!cluster_is_name(name)) {
        return bad("not 1 to 32 letters, digits, hyphens and underscores", name);
    }
    options->node = name;
    return PARSED_RUN;
}

static enum parsed set_redis(struct options *options, const char *server)
{
    if (!cluster_has_redis()) {
        return bad("not in this program, which was built without libhiredis", "--redis");
    }
    options->redis = server;
    return PARSED_RUN;
}

static enum parsed set_size(size_t *size, const char *text)
{
    return parse_size(text, size) == 0 ? PARSED_RUN : bad("not a number of bytes", text);
}

static enum parsed set_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'a':
        options->host = value;
        return PARSED_RUN;
    case 'p':
        options->port = value;
        return PARSED_RUN;
    case 'c':
        options->certfile = value;
        return PARSED_RUN;
    case 'k':
        options->keyfile = value;
        return PARSED_RUN;
    case 'n':
        options->chainfile = value;
        return PARSED_RUN;
    case 'o':
        return add_origin(options, value);
    case 't':
        return set_send_timeout(options, value);
    case 'm':
        return set_size(&options->max_frame, value);
    case 'f':
        return set_size(&options->max_file, value);
    case 'u':
        options->no_compression = 1;
        return PARSED_RUN;
    case 'd':
        return set_node(options, value);
    case 'r':
        return set_redis(options, value);
    case 'h':
        fputs(usage, stdout);
        return PARSED_HELP;
    default:
        fputs(usage, stderr);
        return PARSED_BAD; /* getopt_long has said what is wrong */
    }
}

static enum parsed check_tls_files(const struct options *options)
{
    if (options->certfile != NULL && options->keyfile == NULL) {
        return bad("option missing", "--key, for --cert");
    }
    if (options->certfile == NULL && options->keyfile != NULL) {
        return bad("option missing", "--cert, for --key");
    }
    if (options->certfile == NULL && options->chainfile != NULL) {
        return bad("option missing", "--cert and --key, for --chain");
    }
    return PARSED_RUN;
}

enum parsed options_parse(struct options *options, int argc, char **argv)
{
    /* The letters are for set_option; of the short options there is -h alone. */
    static const struct option known[] = {
        {"host", required_argument, NULL, 'a'},
        {"port", required_argument, NULL, 'p'},
        {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"chain", required_argument, NULL, 'n'},
        {"origin", required_argument, NULL, 'o'},
        {"max-frame", required_argument, NULL, 'm'},
        {"max-file", required_argument, NULL, 'f'},
        {"send-timeout", required_argument, NULL, 't'},
        {"no-compression", no_argument, NULL, 'u'},
        {"node", required_argument, NULL, 'd'},
        {"redis", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        enum parsed result = set_option(options, option, optarg);
        if (result != PARSED_RUN) {
            return result;
        }
    }
    if (optind < argc) {
        return bad("not an option", argv[optind]);
    }
    if (options->redis != NULL && options->node == NULL) {
        return bad("option missing", "--node, for --redis");
    }
    return check_tls_files(options);
}
