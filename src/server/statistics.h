// statistics.h: the figures of libwebsock_stats.
#pragma once

#include <websock/websock.h>

namespace websock {

struct Engine;
class Topics;

// Fills in as many bytes of out as out.size says.
void write_statistics(Engine &engine, Topics &topics, libwebsock_statistics &out);

} // namespace websock
