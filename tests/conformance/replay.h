// replay.h: tries a case without sockets: its bytes go through the library's own frame
// decoder, cut in two at every offset, in three at every pair of offsets if there are few, and
// byte by byte. Only for cases of one step, in which the server only answers.
#pragma once

#include "cases.h"

namespace conformance {

// What is wrong, or "".
std::string replay(const Case &wanted);

} // namespace conformance
