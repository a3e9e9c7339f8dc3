// transport_tls.h: the Transport that speaks TLS over a plain one. The handshake is in
// transport_tls_handshake.cpp; what comes after it is in transport_tls.cpp.
//
// Two threads must not use a TlsSession (one OpenSSL object) at once, and a reader that held a
// lock while it waits for the peer would stop every sender. So the lock is held only while bytes
// are encrypted or decrypted, a record at a time, and never while anybody waits:
//   read    waits for ciphertext without the lock, then decrypts it with the lock
//   write   encrypts with the lock, then sends without it
// Once the handshake is over, read() never sends: two peers whose readers send could wait for each
// other. What OpenSSL has to say by itself (alerts, KeyUpdates) stays in the session until the next
// write, and read() tells its caller that one is due.
#pragma once

#include "base/lock.h"
#include "transport/handshake_gate.h"
#include "transport/tls_session.h"
#include "transport/transport.h"
#include "transport/wire_buffer.h"

#include <memory>
#include <string>
#include <vector>

namespace websock {

// RFC 6455 10.6: "WebSocket implementations MUST support TLS ..."
class TlsTransport final : public Transport
{
  public:
    TlsTransport(std::shared_ptr<const TlsConfig> config, HandshakeGate &gate)
        : config_(std::move(config)), gate_(gate)
    {
    }
    // First of all; see make_tls_transport().
    void take(UniqueFd &fd) { socket_ = make_plain_transport(fd); }

    Opening open(TimePoint deadline, const std::function<void()> &progressed) override;
    Received read(std::span<uint8_t> into, int timeout_ms) override;
    void give_memory_back() override;
    std::string why() const override { return why_.empty() ? socket_->why() : why_; }
    ssize_t write_some(const iovec *parts, int count) override;
    bool unsent() const override;
    bool needs_input() const override;
    int wait_writable(TimePoint deadline) override;
    void end_writing(TimePoint deadline) override;
    Outgoing outgoing() const override { return socket_->outgoing(); }
    void shut() override;
    void abort() override;
    int fd() const override { return socket_->fd(); }
    UniqueFd give_back() override { return socket_->give_back(); }

  private:
    using Step = TlsSession::Step;

    // transport_tls_handshake.cpp
    Opening handshake(TimePoint deadline, const std::function<void()> &progressed);
    TlsSession &begin_session() EXCLUDES(mutex_);
    Opening describe() EXCLUDES(mutex_);

    // transport_tls.cpp
    Received receive(int timeout_ms) EXCLUDES(mutex_);
    void decrypt(std::span<uint8_t> into, Received &received) EXCLUDES(mutex_);
    int encrypt(std::span<iovec> &parts, size_t &taken) EXCLUDES(mutex_);
    void reserve_for(std::span<const iovec> parts) EXCLUDES(mutex_);
    int send_sealed() EXCLUDES(mutex_);
    int send_all_sealed(TimePoint deadline) EXCLUDES(mutex_);
    void wake_all() EXCLUDES(mutex_);

    const std::shared_ptr<const TlsConfig> config_;
    HandshakeGate &gate_;
    HandshakeGate::Visitor visitor_;
    std::unique_ptr<Transport> socket_;
    bool encrypted_ = false; // the handshake succeeded; set before a second thread comes

    mutable Mutex mutex_;
    Cond input_came_;
    std::unique_ptr<TlsSession> session_ GUARDED_BY(mutex_);
    bool needs_input_ GUARDED_BY(mutex_) = false; // a writer cannot go on before the peer sends
    bool shut_ GUARDED_BY(mutex_) = false;

    // The reading thread's. The session reads these bytes under mutex_; they are replaced only
    // when it has used them up.
    WireBuffer wire_;
    std::string why_;

    // The writer's.
    std::vector<uint8_t> sealed_; // ciphertext, of which the first sent_ bytes have left
    size_t sent_ = 0;
    std::vector<uint8_t> scratch_;
};

} // namespace websock
