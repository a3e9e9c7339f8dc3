// registry.h: the connections of one server, and the sums over all it ever had.
#pragma once

#include "ref.h"
#include "thread.h"

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
    // many_gone is called, under the lock, when half of the connections have gone that there
    // were since it was last called.
    explicit Registry(std::function<void()> many_gone) : many_gone_(std::move(many_gone)) {}

    // Why a connection did not become a client.
    enum class Refused : uint8_t {
        no_room,    // max_connections, or no thread, memory or descriptor
        tls,        // no TLS handshake, or a bad one
        late,       // the handshake deadline came
        request,    // the request was bad, or asked for no upgrade
        onrequest,  // returned a status
        plain_http, // onrequest has answered it
        gone,       // the peer, or the server
    };
    static constexpr size_t kRefusals = 7;
    static constexpr size_t kCloseCodes = 17; // 1000 and on; the last one is for all others

    struct Traffic {
        uint64_t messages_in = 0;
        uint64_t messages_out = 0;
        uint64_t bytes_in = 0;
        uint64_t bytes_out = 0;
        uint64_t send_timeouts = 0;
        Traffic &operator+=(const Traffic &other);
    };
    struct Figures {
        uint64_t open = 0;                         // had onopen, not yet onclose
        uint64_t accepted = 0;                     // sockets that came
        std::array<uint64_t, kRefusals> refused{}; // of those, that never became open
        std::array<uint64_t, kCloseCodes> closed{};
        Traffic traffic;
    };

    // Adds a connection, and a reference to it. 0, EAGAIN when max (0: no limit) are
    // there, or ESHUTDOWN after close().
    int add(Connection &connection, size_t max) EXCLUDES(mutex_);
    // Takes out what add() has added, with its reference.
    void remove(Connection &connection) EXCLUDES(mutex_);

    void count_accepted() EXCLUDES(mutex_);
    void count_opened() EXCLUDES(mutex_);
    void count_closed(unsigned code) EXCLUDES(mutex_); // once after count_opened()
    void count_refused(Refused why) EXCLUDES(mutex_);

    // From now on nothing can be added.
    void close() EXCLUDES(mutex_);

    // Waits until none is left. False: deadline has come before.
    bool wait_until_empty(TimePoint deadline) EXCLUDES(mutex_);

    // All there are now. Throws std::bad_alloc.
    std::vector<Ref<Connection>> snapshot() EXCLUDES(mutex_);
    // Calls f for each, under the lock: f must not wait, nor come back here.
    void for_each(const std::function<void(Connection &)> &f) EXCLUDES(mutex_);

    Figures figures() EXCLUDES(mutex_);

  private:
    const std::function<void()> many_gone_; // must not throw

    Mutex mutex_;
    Cond empty_;
    Connection *first_ GUARDED_BY(mutex_) = nullptr; // linked through Connection's own fields
    size_t count_ GUARDED_BY(mutex_) = 0;
    size_t peak_ GUARDED_BY(mutex_) = 0; // of count_, since many_gone_ was called
    bool closed_ GUARDED_BY(mutex_) = false;
    Figures figures_ GUARDED_BY(mutex_); // their traffic: of connections that were removed
};

} // namespace websock
