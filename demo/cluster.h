/* cluster.h: websock-demo as one node of several, all of which have the same rooms. */
#ifndef DEMO_CLUSTER_H
#define DEMO_CLUSTER_H

#include <websock/websock.h>

/* Says whether the name of a node may be name: 1 to 32 letters, digits, hyphens and underscores. */
int cluster_is_name(const char *name);

/* Says whether this program was built with libwebsock-redis. */
int cluster_has_redis(void);

/* Has that server keep all topics; see libwebsock_use_redis(3). Returns 0, or -1 when it has been
 * logged why. */
int cluster_join(libwebsock_context *ctx, const char *server);

/* GET /node: which node this is. To be called in onrequest, as the next one. */
int cluster_serve_name(libwebsock_client_state *client, const char *node);

/* POST /node/end: ends this process at once, as a crash would. ?node=NAME: only if that is its
 * name. Returns the status if it has not. */
int cluster_end(const libwebsock_request *request, const char *node);

#endif
