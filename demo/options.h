/* options.h: the command line of websock-demo. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include <stddef.h>

#define MAX_ORIGINS 32

struct options {
    const char *host;
    const char *port;
    const char *certfile; /* with keyfile, or NULL: no TLS */
    const char *keyfile;
    const char *chainfile; /* NULL: certfile has the whole chain */
    size_t max_frame;      /* bytes; 0: the library's default */
    size_t max_file;       /* bytes of a file in /transfer */
    int send_timeout_ms;   /* 0: the library's default */
    int no_compression;    /* 1: not even if clients offer it */
    const char *origins[MAX_ORIGINS];
    size_t origin_count;
    const char *node;  /* NULL: this is no node of a cluster */
    const char *redis; /* only with node; NULL: none */
};

enum parsed {
    PARSED_RUN,
    PARSED_HELP, /* printed to stdout */
    PARSED_BAD   /* what is wrong is on stderr */
};

/* Options that are not given keep what *options has. The strings are argv's. */
enum parsed options_parse(struct options *options, int argc, char **argv);

#endif
