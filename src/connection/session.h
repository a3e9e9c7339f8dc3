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
    std::vector<uint8_t> spare;  // lent to the outbox while answers are gathered
    Dispatcher::Watched watched; // while answers are gathered; its fields are the dispatcher's
    // Other threads use these while they hold Connection's session_mutex_:
    std::atomic<bool> receiving{false}; // written by the connection's thread
    std::atomic<bool> woken{false};     // set by others: the next receive returns at once
    UniqueFd wake_fd; // an eventfd, once a receive has polled; set under the mutex
};

} // namespace websock
