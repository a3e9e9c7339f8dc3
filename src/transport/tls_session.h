// tls_session.h: TLS for one connection as a transformation of bytes: ciphertext in,
// plaintext out, and the other way round. No socket, no clock, no lock: its owner sees to
// them (transport_tls.cpp). One thread at a time.
#pragma once

#include "transport/openssl.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace websock {

class TlsSession
{
  public:
    // Throws std::bad_alloc.
    explicit TlsSession(SSL_CTX *context);
    TlsSession(const TlsSession &) = delete;
    TlsSession &operator=(const TlsSession &) = delete;

    // done: some progress was made. starved: there is none without more ciphertext, and
    // all that was fed has been used. closed: the peer has said that nothing follows
    // (close_notify). failed: for good; why() says so.
    enum class Step { done, starved, closed, failed };

    // Ciphertext of the peer's, which must stay there until a step is starved. Only
    // after such a step.
    void feed(std::span<const uint8_t> ciphertext) { input_ = ciphertext; }
    bool has_input() const { return !input_.empty(); }

    // The handshake. done: it is complete.
    Step accept();
    // Decrypts the rest of one record, as far as it fits; n may be 0 even if done.
    Step read(std::span<uint8_t> into, size_t &n);
    // Encrypts one record. starved: half a handshake message of the peer's (RFC 8446 4.6)
    // is in the way.
    Step write(std::span<const uint8_t> from, size_t &n);
    // Says that nothing follows: close_notify.
    void close();

    // What is to be sent to the peer, in this order.
    bool has_output() const { return !output_.empty(); }
    // Exchanges it for an empty vector.
    void take_output(std::vector<uint8_t> &empty);
    // Makes room for so much more. Throws std::bad_alloc.
    void reserve_output(size_t more) { output_.reserve(output_.size() + more); }
    // How much of it answers what was read.
    size_t answers() const { return answers_; }
    const std::string &why() const { return why_; }

    // After the handshake.
    SSL *ssl() const { return ssl_.get(); }

  private:
    static BIO_METHOD *bio_method();
    static int read_bio(BIO *bio, char *into, int len);
    static int write_bio(BIO *bio, const char *from, int len);
    static long control_bio(BIO *bio, int command, long number, void *argument);

    bool has_received_end() const { return SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN; }
    Step outcome(int result);
    Step fail(std::string why);

    OwnedSsl ssl_;
    std::span<const uint8_t> input_;
    std::vector<uint8_t> output_;
    size_t answers_ = 0;
    bool failed_ = false;
    std::string why_;
};

// The largest plaintext of a record, RFC 8446 5.1.
inline constexpr size_t kTlsRecord = 16384;

} // namespace websock
