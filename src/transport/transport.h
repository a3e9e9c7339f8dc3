// transport.h: how bytes get to and from one peer. What stands above a Transport
// does not know whether they are encrypted on the way.
//
// Threads: the connection's thread alone calls open(), read() and why(). One thread at a time
// calls the writing functions, whichever it is (Outbox sees to that). Any thread may call shut(),
// abort() and outgoing(). A write never waits for a read.
#pragma once

#include "base/clock.h"
#include "base/fd.h"
#include "transport/outgoing.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <sys/uio.h>

namespace websock {

class HandshakeGate;
class TlsConfig;

// What a TLS handshake has settled.
struct TlsInfo {
    const char *version; // static, as the next
    const char *cipher;
    std::string server_name;    // that the client has asked for, or ""
    std::string client_subject; // of its certificate, or ""
    bool resumed;
};

class Transport
{
  public:
    virtual ~Transport() = default;

    // What comes before the first byte can be exchanged. ready: all is well; tls is
    // nullptr if nothing is encrypted. The others name a why. plaintext: the peer does not
    // speak TLS, though it should; it can be told so in plain text. refused: it has been
    // told why, and should get the time to read it. gone: there is nobody to be told; or
    // never was, if silent: not a byte has come. late: the deadline has.
    struct Opening {
        enum Result : uint8_t { ready, plaintext, refused, gone } result = ready;
        bool silent = false;
        bool late = false;
        std::string why = {};
        std::unique_ptr<TlsInfo> tls = nullptr;
    };
    // By the connection's thread, before anything else. Calls progressed, at most once, when
    // the peer has been answered and has not spoken the last word yet. Throws std::bad_alloc.
    virtual Opening open(TimePoint deadline, const std::function<void()> &progressed) = 0;

    // What one read() came to.
    struct Received {
        enum Result : uint8_t {
            bytes,     // len of them; 0 if all that the peer sent is TLS's own business
            timed_out, // nothing came in time
            end,       // the peer sends nothing more
            lost,      // the connection broke off
            malformed, // the peer's TLS is wrong, and the connection is over
        } result;
        // write_some() has something to do, even with no bytes to pass: TLS answers what was
        // read, or a writer waited for it. read() only says so and never sends: two peers whose
        // readers send could wait for each other.
        bool write_due = false;
        size_t len = 0;
    };
    // Waits for bytes, at most timeout_ms (-1: for ever). Throws std::bad_alloc.
    virtual Received read(std::span<uint8_t> into, int timeout_ms) = 0;
    // In words, why the last read() ended in lost or malformed.
    virtual std::string why() const = 0;

    // Writes as much as can leave now. How much that was, or -1 and errno: EAGAIN
    // if nothing could, ENOMEM. This and the others do not throw.
    virtual ssize_t write_some(const iovec *parts, int count) = 0;
    // Whether some of what write_some has taken is still here: then it is to be called
    // again, if with nothing more to write. A writing function, too.
    virtual bool unsent() const = 0;
    // Whether write_some can gain nothing before something has been read: then it is no use
    // to wait until the descriptor can be written to.
    virtual bool needs_input() const = 0;

    // Waits until write_some has something to gain. 0, ETIMEDOUT or an errno value.
    virtual int wait_writable(TimePoint deadline) = 0;

    // Says that no more will be written; waits until deadline for that to leave. A writing
    // function, too. Errors are the peer's business now.
    virtual void end_writing(TimePoint deadline) = 0;

    // How far what was written has come. Any thread, while the transport is there.
    virtual Outgoing outgoing() const = 0;

    // Ends both directions at once, waking whoever waits in one of them. What has been
    // written still leaves.
    virtual void shut() = 0;
    // The same for a peer that is given up: closing then resets the connection, since
    // the kernel would go on for minutes trying to deliver what it does not read.
    virtual void abort() = 0;

    virtual int fd() const = 0;
    // Hands the descriptor back; the transport is of no use any more.
    virtual UniqueFd give_back() = 0;

    // Writes all of parts (which it uses up) and what was unsent, by deadline. 0 or an
    // errno value: ETIMEDOUT, EPIPE, ECONNRESET...
    int write_all(std::span<iovec> parts, TimePoint deadline);
};

// These take the descriptor, which must be blocking, over, unless they throw
// std::bad_alloc. The gate is asked for each step of the handshake, and outlives them.
std::unique_ptr<Transport> make_plain_transport(UniqueFd &fd);
std::unique_ptr<Transport> make_tls_transport(UniqueFd &fd, std::shared_ptr<const TlsConfig> config,
                                              HandshakeGate &gate);

// Drops what has been written from the front of parts; returns what is left.
std::span<iovec> drop_written(std::span<iovec> parts, size_t written);

} // namespace websock
