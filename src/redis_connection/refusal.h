// refusal.h: what an error reply means: whether to try again. Text in, verdict out.
#pragma once

#include <string_view>

namespace websock::redis {

enum class Refusal {
    no_script,  // the server has forgotten the script: load it, and again
    for_now,    // it is full, busy, loading: again later
    reconnect,  // it is a replica now, or knows us no more: again on another connection
    permission, // this user may not do that
    for_good,   // the same command will never succeed
};

Refusal refusal_in(std::string_view error);

// The same for the answer of a server that is tried out: an errno value.
int errno_of(std::string_view error);

} // namespace websock::redis
