/* people.h: how many people are in the rooms of the chat, for those who are there. */
#ifndef DEMO_PEOPLE_H
#define DEMO_PEOPLE_H

#include <websock/websock.h>

/* node is the name of this node, or NULL: there are no others. To be called before
 * libwebsock_wait. Returns 0, or -1 with errno. */
int people_start(libwebsock_context *ctx, const char *node);

/* Must have returned before libwebsock_free. */
void people_stop(void);

/* client has entered the room and will be told. Returns 0, or -1 with errno. */
int people_enter(libwebsock_client_state *client, const char *room);

/* The client has gone. To be called in onclose. */
void people_leave(libwebsock_client_state *client, const char *room);

#endif
