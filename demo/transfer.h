/* transfer.h: /transfer, a file that a client sends and gets back. */
#ifndef DEMO_TRANSFER_H
#define DEMO_TRANSFER_H

#include <websock/websock.h>

/* Makes /transfer responsible for client. To be called in onrequest. */
void transfer_serve(libwebsock_client_state *client);

#endif
