// connect.h: a connected socket to a server, with a deadline. What is said over it is elsewhere.
#pragma once

#include "base/fd.h"
#include "redis_connection/settings.h"
#include "redis_connection/stop_signal.h"

#include <string>

namespace websock::redis {

// Tries each address that the host has. fd does not block. Returns 0, or an errno value with why in
// words: ENOENT the host is not known, ECANCELED a stop was raised, or one of connect(2).
int connect_to(const Address &address, int timeout_ms, const StopSignal &stop, UniqueFd &fd,
               std::string &why);

} // namespace websock::redis
