/* stats.h: the feed behind /stats, the server's figures once a second. */
#ifndef DEMO_STATS_H
#define DEMO_STATS_H

#include <websock/websock.h>

struct stats_feed;

/* Starts the feed's thread. Returns the feed, or NULL with errno. */
struct stats_feed *stats_feed_start(libwebsock_context *ctx);

/* Ends the thread; it must be gone before libwebsock_free. NULL is allowed. */
void stats_feed_stop(struct stats_feed *feed);

/* After stats_feed_stop, when every onclose has run. */
void stats_feed_free(struct stats_feed *feed);

/* Makes feed responsible for client. To be called in onrequest. */
void stats_serve(struct stats_feed *feed, libwebsock_client_state *client);

#endif
