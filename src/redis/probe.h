// probe.h: finds out whether a server can be used, before a context depends on it.
#pragma once

#include "redis_connection/settings.h"

#include <string>

namespace websock::redis {

// Connects, and does once all that an engine does: publishes, fetches, subscribes, and removes what
// it has written. 0, or an errno value with why in words; see libwebsock_use_redis. On a thread
// that blocks SIGPIPE. Throws std::bad_alloc.
int probe(const Settings &settings, const Address &address, std::string &why);

} // namespace websock::redis
