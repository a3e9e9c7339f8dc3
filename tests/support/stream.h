// stream.h: what the test client sends its bytes through: a bare socket, or TLS over one. Nothing
// here waits: it does what can be done now. The waiting is Client's.
#pragma once

#include <functional>
#include <memory>
#include <openssl/ssl.h>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace test {

enum class Transport { plain, tls };

// What servers and clients of the tests speak by default: the environment's TEST_TRANSPORT, plain
// (also if it is unset) or tls. Throws std::runtime_error if it is something else.
Transport default_transport();

inline bool over_tls() { return default_transport() == Transport::tls; }

// How a stream has ended.
enum class End {
    eof,       // orderly; with TLS: close_notify, and nothing between it and the EOF
    reset,     // RST
    truncated, // TLS: an EOF without close_notify
    refused,   // TLS: an alert, the server's or ours: TlsStream::error() says why
};

using Session = std::shared_ptr<SSL_SESSION>;

// The client's side of TLS.
struct TlsOptions {
    std::string server_name = "localhost"; // for SNI and for checking the certificate; "": none
    bool verify = true;
    std::string ca_file = {};   // that must have signed it; "": the tests' default authority
    std::string cert_file = {}; // the client's certificate, and its key; "": it has none
    std::string key_file = {};
    int min_version = 0; // TLS1_2_VERSION or TLS1_3_VERSION; 0: OpenSSL's default
    int max_version = 0;
    std::string ciphers = {}; // of TLS 1.2; "": OpenSSL's default
    std::vector<std::string> alpn = {};
    Session session = {};        // to resume
    bool may_be_refused = false; // a handshake that fails is an End and does not throw
};

class Stream
{
  public:
    virtual ~Stream() = default;

    // How many bytes were read. 0: the end. -1: none are there now.
    virtual ssize_t read_now(char *buffer, size_t len) = 0;
    // How many bytes were taken. -1: none can be taken now. Throws if none ever will be.
    virtual ssize_t write_now(std::string_view bytes) = 0;
    // Whether all that was taken has gone to the socket. Throws if it never will.
    virtual bool flush_now() = 0;
    // Says that no more will be written: close_notify, FIN. It tries once, and does not care
    // whether that arrives.
    virtual void end_writing() = 0;

    // To be called once read_now has returned 0.
    End end() const { return end_; }

  protected:
    End end_ = End::eof;
};

// The socket stays the caller's. It must not block, and must live longer than the stream.
std::unique_ptr<Stream> make_plain_stream(int fd);

// TLS. One thread may read while another writes.
class TlsStream : public Stream
{
  public:
    static std::unique_ptr<TlsStream> make(int fd, const TlsOptions &options);

    enum class Handshake { done, wants_input, wants_output, failed };
    virtual Handshake handshake_now() = 0;

    virtual std::string error() = 0; // OpenSSL's reason; "" without one
    virtual int alert() = 0;         // the server's fatal alert, SSL_AD_...; -1 without one
    virtual Session session() = 0;   // the latest one that can be resumed; null without one

    // With TLS 1.3: the traffic secret of the client's side (RFC 8446 7.1), in hexadecimal.
    virtual std::string secret() = 0;

    // Calls function with the SSL, while nobody else uses it, and sends what that has produced.
    virtual void with_ssl(const std::function<void(SSL *)> &function) = 0;
};

} // namespace test
