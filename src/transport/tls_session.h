// tls_session.h: one connection's TLS as a transformation of bytes: ciphertext in, plaintext out,
// and the other way round. It has no socket, clock or lock: those are in transport_tls.h. One
// thread at a time.
#pragma once

#include "transport/openssl.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace websock {

// The largest plaintext of one record, RFC 8446 5.1.
inline constexpr size_t kTlsRecord = 16384;

class TlsSession
{
  public:
    // Throws std::bad_alloc.
    explicit TlsSession(SSL_CTX *context);
    TlsSession(const TlsSession &) = delete;
    TlsSession &operator=(const TlsSession &) = delete;

    enum class Step {
        done,    // made progress
        starved, // cannot go on without more ciphertext: all that was fed is used up
        closed,  // the peer said that nothing follows (close_notify)
        failed,  // for good, and why() says why
    };

    // Gives it ciphertext of the peer's: the first, or more after a step was starved. The bytes
    // must stay in place until a step is starved again.
    void feed(std::span<const uint8_t> ciphertext) { input_ = ciphertext; }
    bool has_input() const { return !input_.empty(); }

    // Goes on with the handshake. done: it is complete.
    Step accept();
    // Decrypts the rest of one record, as far as it fits. n: how much that was, which may be 0
    // even if done.
    Step read(std::span<uint8_t> into, size_t &n);
    // Encrypts one record. n: how much of from is in it. starved: OpenSSL writes nothing while it
    // has only half of a handshake message of the peer's (RFC 8446 4.6).
    Step write(std::span<const uint8_t> from, size_t &n);
    // Tells the peer that nothing follows: close_notify.
    void close();

    // The output is what must be sent to the peer, in order.
    bool has_output() const { return !output_.empty(); }
    // Exchanges it for an empty vector.
    void take_output(std::vector<uint8_t> &empty);
    // Makes room for so many more bytes. Throws std::bad_alloc.
    void reserve_output(size_t more) { output_.reserve(output_.size() + more); }
    // How many bytes of it read() has put there, to answer the peer: alerts and KeyUpdates.
    size_t answer_bytes() const { return answer_bytes_; }
    const std::string &why() const { return why_; }

    // For questions about the handshake, once it is complete.
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
    size_t answer_bytes_ = 0;
    bool failed_ = false;
    std::string why_;
};

} // namespace websock
