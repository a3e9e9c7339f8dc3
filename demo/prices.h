/* prices.h: /prices, a feed that is too fast for a slow reader. */
#ifndef DEMO_PRICES_H
#define DEMO_PRICES_H

#include <websock/websock.h>

/* Starts the feed, which rests until somebody subscribes. node is the name of this node, or NULL:
 * there are no others. To be called once, before libwebsock_wait. Returns 0, or -1 with errno. */
int prices_start(libwebsock_context *ctx, const char *node);

/* Ends its thread, which must be gone before libwebsock_free. */
void prices_stop(void);

/* Makes the feed responsible for client. To be called in onrequest. */
void prices_serve(libwebsock_client_state *client);

#endif
