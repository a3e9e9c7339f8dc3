// transport.h: how bytes get to and from one peer. The folders above do not know whether they are
// encrypted on the way.
//
// Threads: the connection's thread alone calls open(), read(), why() and give_memory_back(). One
// thread at a time calls the writing functions, whichever it is (Outbox sees to that). Any thread
// may call shut(), abort() and outgoing(). A write never waits for a read.
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

// What was agreed in a TLS handshake.
struct TlsInfo {
    const char *version; // OpenSSL's, never freed; so is cipher
    const char *cipher;
    std::string server_name;    // the host that the client asked for, or ""
    std::string client_subject; // of the client's certificate, or ""
    bool resumed;
};

class Transport
{
  public:
    virtual ~Transport() = default;

    // What open() came to.
    struct Opening {
        enum Result : uint8_t {
            ready,     // bytes can be exchanged
            plaintext, // the peer does not speak TLS, though it should; it can be told so in HTTP
            refused,   // the peer was told why, and needs time to read it
            gone,      // there is nobody to tell
        } result = ready;
        bool silent = false;                    // not a byte has come
        bool late = false;                      // the deadline has passed
        std::string why = {};                   // in words; for refused and gone
        std::unique_ptr<TlsInfo> tls = nullptr; // only if ready, and only if encrypted
    };
    // The handshake, if there is one; before anything else. Calls progressed at most once: when
    // the peer was answered and it is the peer's turn again. Throws std::bad_alloc.
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
    // By the reading thread, whose peer has been silent for a while: gives back what it is likely
    // not to need again.
    virtual void give_memory_back() {}
    // In words, why the last read() ended in lost or malformed.
    virtual std::string why() const = 0;

    // The writing functions, none of which throws.

    // write_some() looks at no more parts than this.
    static constexpr size_t kMostParts = 68;

    // Writes as much as it can without waiting, which begins with what is still here. Returns how
    // much of parts it took, or -1 and errno: EAGAIN if it took nothing, ENOMEM and others.
    virtual ssize_t write_some(const iovec *parts, int count) = 0;
    // Whether bytes are here that write_some() must be called for again, even with no parts: some
    // that it took and could not send, or TLS's own.
    virtual bool unsent() const = 0;
    // Whether write_some() cannot go on before something is read: then it is no use to wait until
    // the descriptor is writable.
    virtual bool needs_input() const = 0;
    // Waits until write_some() can go on. 0, ETIMEDOUT or another errno value.
    virtual int wait_writable(TimePoint deadline) = 0;
    // Tells the peer that nothing more will be written, and waits until deadline for that to
    // leave. Errors no longer matter.
    virtual void end_writing(TimePoint deadline) = 0;
    // Writes all of parts, which it changes, and what was unsent, by deadline. 0 or an errno
    // value: ETIMEDOUT, EPIPE, ECONNRESET...
    int write_all(std::span<iovec> parts, TimePoint deadline);

    // The functions for any thread.

    // How far written bytes have come.
    virtual Outgoing outgoing() const = 0;
    // Ends both directions at once, and wakes whoever waits in one of them. What was written
    // still leaves.
    virtual void shut() = 0;
    // The same for a peer that is given up: closing the descriptor then resets the connection,
    // since the kernel would go on for minutes trying to deliver what the peer does not read.
    virtual void abort() = 0;
    virtual int fd() const = 0;

    // Hands the descriptor back. The transport is of no use any more.
    virtual UniqueFd give_back() = 0;
};

// These take over the descriptor, which must be blocking, unless they throw std::bad_alloc. The
// gate is asked before each step of the handshake, and must outlive the transport.
std::unique_ptr<Transport> make_plain_transport(UniqueFd &fd);
std::unique_ptr<Transport> make_tls_transport(UniqueFd &fd, std::shared_ptr<const TlsConfig> config,
                                              HandshakeGate &gate);

// Drops so many written bytes from the front of parts, and returns what is left of them.
std::span<iovec> drop_written(std::span<iovec> parts, size_t written);

size_t size_of(std::span<const iovec> parts); // in bytes

// Of what is to be written, which stays as it is.
inline iovec part_of(std::span<const uint8_t> bytes)
{
    return {const_cast<uint8_t *>(bytes.data()), bytes.size()};
}

} // namespace websock
