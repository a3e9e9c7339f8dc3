// session.h: a client's session: what onsession, which runs on the connection's own thread, shares
// with those who wake it. See connection_session.cpp.
#pragma once

#include "base/fd.h"
#include "connection/reading.h"
#include "dispatch/dispatcher.h"

#include <atomic>
#include <cstdint>
#include <vector>

namespace websock {

struct Session {
    Session(Runnable &connection, Reading &where) : reading(where), watched(connection) {}

    // Whether it has been woken since this was last asked. By the connection's thread.
    bool take_wake()
    {
        const bool taken = woken.load(std::memory_order_relaxed) && woken.exchange(false);
        was_woken = was_woken || taken;
        return taken;
    }

    // The connection's thread's alone:
    Reading &reading;
    bool ended = false;          // nothing more will come
    int64_t returned_ms = 0;     // coarse_ms() when a receive last returned within a message
    bool waited_long = false;    // the last time that it waited
    bool was_woken = false;      // ever
    int gathered = 0;            // receives since answers have been gathered; 0: they are not
    std::vector<uint8_t> spare;  // for what is gathered
    Dispatcher::Watched watched; // while it is
    // Any thread's, while it holds Connection's session_mutex_:
    std::atomic<bool> receiving{false}; // written by the connection's thread
    std::atomic<bool> woken{false};     // the next receive returns at once, or the one there is
    UniqueFd wake_fd;                   // an eventfd, once a receive has waited for long
};

} // namespace websock
