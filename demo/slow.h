/* slow.h: /slow, for clients that do not read. */
#ifndef DEMO_SLOW_H
#define DEMO_SLOW_H

#include <websock/websock.h>

#include <stddef.h>

/* Makes /slow responsible for client. To be called in onrequest. */
void slow_serve(libwebsock_client_state *client);

/* Writes the clients of /slow to text as a JSON array of objects: id, sent_bytes (what the
 * library has taken for it) and waiting_s (since a send has returned). Returns the length
 * without the NUL, or -1: it does not fit. Any thread. */
int slow_describe(char *text, size_t size);

#endif
