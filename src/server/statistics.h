// statistics.h: how a server is, for libwebsock_stats.
#pragma once

#include <websock/websock.h>

namespace websock {

struct Server;

// As much of it as out.size says.
void write_statistics(Server &server, libwebsock_statistics &out);

} // namespace websock
