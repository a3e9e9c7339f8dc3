// stream.h: one connection of a benchmark client, TCP or TLS over it. exchange.h has the bytes
// sent through it. A failure that a benchmark cannot measure ends the program.
#pragma once

#include "settings.h"

#include <memory>
#include <openssl/ssl.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/uio.h>
#include <utility>

namespace bench {

template<auto free> struct FreedBy {
    template<class T> void operator()(T *object) const { free(object); }
};
using OwnedSsl = std::unique_ptr<SSL, FreedBy<SSL_free>>;

// What all TLS connections of a client share: TLS 1.3 and OpenSSL's default ciphers. The
// certificate is not verified: it is made for this run.
class TlsClient
{
  public:
    explicit TlsClient(const Settings &settings);
    TlsClient(const TlsClient &) = delete;
    TlsClient &operator=(const TlsClient &) = delete;

    OwnedSsl make(int fd);
    // From now on every connection resumes the session of the latest ticket; without early
    // data it can be used any number of times. False if no ticket has come.
    bool resume();
    bool resumes() const { return resumes_; }

  private:
    static int keep(SSL *ssl, SSL_SESSION *session);

    std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>> context_;
    std::unique_ptr<SSL_SESSION, FreedBy<SSL_SESSION_free>> session_;
    bool resumes_ = false;
};

// Owns the socket. On a non-blocking socket it does not wait, but returns -1 with EAGAIN, like
// recv(2) and sendmsg(2).
class Stream
{
  public:
    Stream() = default;
    // tls: nullptr for plain TCP.
    Stream(int fd, TlsClient *tls);
    Stream(Stream &&other) noexcept { *this = std::move(other); }
    Stream &operator=(Stream &&other) noexcept;
    ~Stream() { close(); }

    int fd() const { return fd_; }

    // The TLS handshake, as far as it goes now. True if it is complete, or there is none.
    bool secure();
    ssize_t receive(std::span<char> into);
    // More can be received although the socket is not readable.
    bool has_more() const { return has_more_; }
    // After EAGAIN the next call must begin with the same bytes.
    ssize_t send(std::span<const iovec> parts);
    // False if not all of it was taken.
    bool send_all(std::string_view bytes);
    // Tells the peer that nothing follows. Receiving still works.
    void end();
    void close();
    // Frees the memory that TLS takes; the connection can no longer be used.
    void leave() { ssl_.reset(); }

    const char *cipher() const { return ssl_ ? SSL_get_cipher_name(ssl_.get()) : ""; }

  private:
    bool would_block(int result) const;
    std::span<const char> next_record(std::span<const iovec> parts, size_t done);

    int fd_ = -1;
    bool resumes_ = false;
    bool has_more_ = false;
    OwnedSsl ssl_;
    std::string record_; // plaintext of one record, joined
};

} // namespace bench
