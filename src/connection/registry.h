// registry.h: the connections of one server, who of them makes room at max_handshakes, and the sums
// over all it ever had. Any thread.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/ref.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace websock {

class Connection;

class Registry
{
  public:
    // many_gone is called, under the lock, when there are half as many connections as at the peak
    // since it was last called.
    explicit Registry(std::function<void()> many_gone) : many_gone_(std::move(many_gone)) {}

    // Why a connection did not become a client.
    enum class Refused : uint8_t {
        no_room,    // max_connections or max_handshakes, or no thread, memory or descriptor
        tls,        // no TLS handshake, or a bad one
        late,       // the handshake deadline came
        request,    // the request was bad, or asked for no upgrade
        onrequest,  // returned a status
        plain_http, // onrequest has answered it
        gone,       // the peer, or the server
        for_newer,  // made room at max_handshakes
    };
    static constexpr size_t kRefusals = 8;
    static constexpr size_t kCloseCodes = 17; // 1000 and on; the last one is for all others

    struct Compressed {
        uint64_t messages = 0;
        uint64_t bytes_before = 0; // of payload
        uint64_t bytes_after = 0;

        void add(uint64_t more_messages, uint64_t before, uint64_t after)
        {
            messages += more_messages;
            bytes_before += before;
            bytes_after += after;
        }
    };
    struct Traffic {
        uint64_t messages_in = 0;
        uint64_t messages_out = 0;
        uint64_t bytes_in = 0;
        uint64_t bytes_out = 0;
        uint64_t send_timeouts = 0;
        Compressed deflated;
        Compressed inflated;
        uint64_t uncompressed = 0;   // messages, to clients that accept compressed ones
        uint64_t events_waiting = 0; // now; none of one that has gone
    };
    struct Figures {
        uint64_t open = 0;                         // had onopen, not yet onclose
        uint64_t accepted = 0;                     // sockets that came
        std::array<uint64_t, kRefusals> refused{}; // of those, that never became open
        std::array<uint64_t, kCloseCodes> closed{};
        Traffic traffic;
    };

    // What a connection waits for until it is upgraded: its peer, or the program in onrequest.
    // makes_room: it was dropped for a newer one. over: it is upgraded, or its thread has ended.
    enum class Opening : uint8_t { peer, program, makes_room, over };
    struct Link {
        Connection *connection = nullptr;
        Link *previous = nullptr;
        Link *next = nullptr;
    };
    // What the registry keeps in each Connection, guarded by its lock.
    struct Entry {
        Link in_all;
        Link in_with_peer; // while opening is peer
        Opening opening = Opening::over;
    };

    struct Limits { // 0: none
        size_t connections;
        size_t handshakes; // connections that are not upgraded
    };
    // Adds a connection that waits for its peer, and a reference to it; at max.handshakes, drops
    // the one that has waited longest for its peer. 0, ESHUTDOWN after close(), or EAGAIN: max are
    // there, and none can be dropped. Never waits.
    int add(Connection &connection, const Limits &max) EXCLUDES(mutex_);
    // A step of the opening handshake is done, so the connection's wait begins anew. Bytes alone
    // are no step, or a peer could stay by sending one now and then. False: it makes room.
    bool advance(Connection &connection, Opening to) EXCLUDES(mutex_);
    // Whether it makes room. If so, untold is how many have since this last said so; 0 if that was
    // less than a second ago.
    bool makes_room(const Connection &connection, uint64_t &untold) EXCLUDES(mutex_);
    // Its thread has nothing more to do for it.
    void thread_ends(Connection &connection) EXCLUDES(mutex_);
    // Takes out what add() has added, with its reference.
    void remove(Connection &connection) EXCLUDES(mutex_);

    void count_accepted() EXCLUDES(mutex_);
    void count_opened() EXCLUDES(mutex_);
    void count_closed(unsigned code) EXCLUDES(mutex_); // once after count_opened()
    void count_refused(Refused why) EXCLUDES(mutex_);

    // Nothing can be added any more.
    void close() EXCLUDES(mutex_);

    // Waits until none is left. False: some were left at deadline.
    bool wait_until_empty(TimePoint deadline) EXCLUDES(mutex_);

    // All there are now. Throws std::bad_alloc.
    std::vector<Ref<Connection>> snapshot() EXCLUDES(mutex_);
    // Calls f for each, under the lock: f must not wait, nor come back here.
    void for_each(const std::function<void(Connection &)> &f) EXCLUDES(mutex_);

    Figures figures() EXCLUDES(mutex_);

  private:
    bool make_room() REQUIRES(mutex_);
    void set_opening(Connection &connection, Opening to) REQUIRES(mutex_);

    const std::function<void()> many_gone_; // must not throw

    Mutex mutex_;
    Cond empty_;
    LinkedList<Link> all_ GUARDED_BY(mutex_);
    size_t peak_ GUARDED_BY(mutex_) = 0; // of all_, since many_gone_ was called
    bool closed_ GUARDED_BY(mutex_) = false;
    LinkedList<Link> with_peer_ GUARDED_BY(mutex_); // the longest wait first
    size_t with_program_ GUARDED_BY(mutex_) = 0;
    size_t making_room_ GUARDED_BY(mutex_) = 0;
    uint64_t untold_ GUARDED_BY(mutex_) = 0;                  // that have made room
    TimePoint tell_at_ GUARDED_BY(mutex_) = TimePoint::min(); // not before
    Figures figures_ GUARDED_BY(mutex_); // traffic: of the connections that were removed
};

} // namespace websock
