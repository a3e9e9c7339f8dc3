// transport.h: how bytes get to and from one peer. What stands above a Transport
// does not know whether they are encrypted on the way.
//
// Threads: read() is the connection's thread's. The write functions are for one
// thread at a time, at any time (Outbox sees to that). shut() and abort() are anybody's. A
// write never waits for a read.
#pragma once

#include "fd.h"
#include "thread.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/types.h>
#include <sys/uio.h>

namespace websock {

class Transport
{
  public:
    virtual ~Transport() = default;

    // Waits for bytes, at most timeout_ms (-1: for ever). How many came, 0 at the
    // end of the stream, or -1 and errno: EAGAIN for a time-out.
    virtual ssize_t read(std::span<uint8_t> into, int timeout_ms) = 0;

    // Writes as much as can leave now. How much that was, or -1 and errno: EAGAIN
    // if nothing could.
    virtual ssize_t write_some(const iovec *parts, int count) = 0;

    // Waits until write_some has something to gain. 0, ETIMEDOUT or an errno value.
    virtual int wait_writable(TimePoint deadline) = 0;

    // Says that no more will be written. Errors are the peer's business now.
    virtual void end_writing() = 0;

    // Ends both directions at once, waking whoever waits in one of them. What has been
    // written still leaves.
    virtual void shut() = 0;
    // The same for a peer that is given up: closing then resets the connection, since
    // the kernel would go on for minutes trying to deliver what it does not read.
    virtual void abort() = 0;

    virtual int fd() const = 0;
    // Hands the descriptor back; the transport is of no use any more.
    virtual UniqueFd give_back() = 0;

    // Writes all of parts (which it uses up), by deadline. 0 or an errno value:
    // ETIMEDOUT, EPIPE, ECONNRESET...
    int write_all(std::span<iovec> parts, TimePoint deadline);
};

// Takes the descriptor, which must be blocking, over, unless it throws std::bad_alloc.
std::unique_ptr<Transport> make_plain_transport(UniqueFd &fd);

// Drops what has been written from the front of parts; returns what is left.
std::span<iovec> drop_written(std::span<iovec> parts, size_t written);

} // namespace websock
