/* block.h: /block, callbacks that sleep. */
#ifndef DEMO_BLOCK_H
#define DEMO_BLOCK_H

#include <websock/websock.h>

/* Makes /block responsible for client. To be called in onrequest. */
void block_serve(libwebsock_client_state *client);

/* How many callbacks sleep now. Any thread. */
unsigned block_count(void);

#endif
