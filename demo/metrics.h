/* metrics.h: /metrics, the figures of libwebsock_stats for Prometheus. */
#ifndef DEMO_METRICS_H
#define DEMO_METRICS_H

#include <websock/websock.h>

/* Answers a plain HTTP request. To be called in onrequest, which returns what this
 * returns: 0, or the status 500. */
int metrics_serve(libwebsock_client_state *client);

#endif
