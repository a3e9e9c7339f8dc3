// statistics.h: how a server is, for libwebsock_stats.
#pragma once

#include <websock/websock.h>

namespace websock {

struct Engine;

// As much of it as out.size says.
void write_statistics(Engine &engine, libwebsock_statistics &out);

} // namespace websock
