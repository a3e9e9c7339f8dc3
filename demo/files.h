/* files.h: the files that are part of the program: the page, and what it links to. */
#ifndef DEMO_FILES_H
#define DEMO_FILES_H

#include <websock/websock.h>

/* Answers a plain HTTP request for path. To be called in onrequest, which returns what this
 * returns: 0, or a status; 404 when there is no such file. */
int files_serve(libwebsock_client_state *client, const char *path);

#endif
