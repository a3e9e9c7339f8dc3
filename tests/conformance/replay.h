// replay.h: a case without sockets: its bytes through the library's own frame decoder, cut
// in two at every offset, in three at every pair of them if they are few, and byte by byte.
// Only cases of one step, in which the server does nothing of its own.
#pragma once

#include "cases.h"

namespace conformance {

// What is wrong, or "".
std::string replay(const Case &wanted);

} // namespace conformance
