/* chat.h: the room behind /chat. Who is in it, and what everybody gets; what a
 * message means is the page's affair. */
#ifndef DEMO_CHAT_H
#define DEMO_CHAT_H

#include <websock/websock.h>

#define CHAT_MAX_MESSAGE 4096 /* bytes; a longer one closes with 1009 */

struct chat_room;

/* An empty room, or NULL with errno. Free it after libwebsock_wait has returned 0:
 * then every onclose has run and nobody is left in it. */
struct chat_room *chat_room_new(void);
void chat_room_free(struct chat_room *room);

/* Makes room responsible for client. To be called in onrequest. */
void chat_serve(struct chat_room *room, libwebsock_client_state *client);

#endif
