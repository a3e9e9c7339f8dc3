/* routes.h: what websock-demo answers to a request, before any upgrade. */
#ifndef DEMO_ROUTES_H
#define DEMO_ROUTES_H

#include "stats.h"

#include <websock/websock.h>

/* The context's user_data. Read-only while the server runs; owned by main. */
struct demo {
    struct stats_feed *feed;
    const char *const *origins; /* of --origin: allowed beside the server's own */
    size_t origin_count;
    unsigned long long max_frame; /* bytes */
    unsigned long long max_file;  /* bytes of a file in /transfer */
    const char *node;             /* its name in a cluster, or NULL */
};

/* The context's onrequest. Sets the callbacks of an endpoint in the client. */
int demo_onrequest(libwebsock_client_state *client, const libwebsock_request *request);

#endif
