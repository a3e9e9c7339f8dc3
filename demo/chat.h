/* chat.h: the rooms behind /chat. Who gets what; what a message means is the page's affair. */
#ifndef DEMO_CHAT_H
#define DEMO_CHAT_H

#include <websock/websock.h>

#define CHAT_MAX_MESSAGE 4096 /* bytes; a longer one closes with 1009 */

/* Says what the rooms keep. node is the name of this node, or NULL: there are no others. To be
 * called before libwebsock_wait. Returns 0, or -1 with errno. */
int chat_start(libwebsock_context *ctx, const char *node);

/* Must have returned before libwebsock_free. To be called if chat_start has succeeded. */
void chat_stop(void);

/* "/chat" is the lobby, "/chat/NAME" the room of that name. */
int chat_is_room(const char *path);

/* Puts client into the room of its request's path. To be called in onrequest. */
void chat_serve(libwebsock_client_state *client);

#endif
