// stream_tls.cpp: the TLS of stream.h. OpenSSL reads the socket itself, but writes to memory. What
// it has encrypted is sent from there without SIGPIPE, and no SSL_write ever has to be repeated
// with the same bytes.
#include "certificates.h"
#include "stream.h"
#include "transport/openssl.h"
#include "wire.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace test {

namespace {

constexpr size_t kRecord = 16384; // bytes of plaintext, at most; RFC 8446 5.1

void require(bool success, const char *what)
{
    if (!success)
        fail(std::string(what) + ": " + websock::openssl_reason());
}

std::string alpn_list(const std::vector<std::string> &names)
{
    std::string list;
    for (const std::string &name : names)
        list.append(1, static_cast<char>(name.size())).append(name);
    return list;
}

websock::OwnedSslCtx make_context(const TlsOptions &options)
{
    websock::OwnedSslCtx context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX *ctx = context.get();
    require(ctx != nullptr, "SSL_CTX_new");
    SSL_CTX_set_read_ahead(ctx, 1); // one recv for many small records, not two for each
    require(SSL_CTX_set_min_proto_version(ctx, options.min_version) == 1, "min_version");
    require(SSL_CTX_set_max_proto_version(ctx, options.max_version) == 1, "max_version");
    if (!options.ciphers.empty())
        require(SSL_CTX_set_cipher_list(ctx, options.ciphers.c_str()) == 1, "ciphers");
    if (options.verify) {
        const std::string &ca_file =
            options.ca_file.empty() ? default_authority().ca_file() : options.ca_file;
        require(SSL_CTX_load_verify_file(ctx, ca_file.c_str()) == 1, "ca_file");
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    }
    if (!options.cert_file.empty()) {
        require(SSL_CTX_use_certificate_chain_file(ctx, options.cert_file.c_str()) == 1,
                "cert_file");
        require(SSL_CTX_use_PrivateKey_file(ctx, options.key_file.c_str(), SSL_FILETYPE_PEM) == 1,
                "key_file");
    }
    return context;
}

// Whether they differ from the default only in verify and in what is set for each SSL.
bool has_shared_context(const TlsOptions &options)
{
    return options.ca_file.empty() && options.cert_file.empty() && options.min_version == 0 &&
           options.max_version == 0 && options.ciphers.empty();
}

class OpenSslStream final : public TlsStream
{
  public:
    OpenSslStream(int fd, const TlsOptions &options) : fd_(fd), ssl_(make_ssl(options))
    {
        require(ssl_ != nullptr, "SSL_new");
        SSL *ssl = ssl_.get();
        SSL_set_app_data(ssl, this);
        SSL_set_info_callback(ssl, on_info);
        SSL_set_bio(ssl, BIO_new_socket(fd, BIO_NOCLOSE), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(ssl);
        if (!options.server_name.empty()) {
            require(SSL_set_tlsext_host_name(ssl, options.server_name.c_str()) == 1, "server_name");
            require(SSL_set1_host(ssl, options.server_name.c_str()) == 1, "server_name");
        }
        std::string alpn = alpn_list(options.alpn);
        if (!alpn.empty())
            SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char *>(alpn.data()),
                                static_cast<unsigned>(alpn.size()));
        if (options.session)
            require(SSL_set_session(ssl, options.session.get()) == 1, "session");
    }

    ~OpenSslStream() override
    {
        // Otherwise OpenSSL would not let the session of a cut connection be resumed.
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }

    Handshake handshake_now() override
    {
        std::lock_guard lock(mutex_);
        ERR_clear_error();
        int result = SSL_do_handshake(ssl_.get());
        if (result == 1)
            established_ = true;
        else if (!is_starved(result))
            return end_with_error(), Handshake::failed;
        if (!flush())
            return Handshake::wants_output;
        return established_ ? Handshake::done : Handshake::wants_input;
    }

    ssize_t read_now(char *buffer, size_t len) override
    {
        std::lock_guard lock(mutex_);
        if (ended_)
            return 0;
        size_t received = 0;
        int n = 1;
        while (n > 0 && received < len) { // a record at a time
            ERR_clear_error();
            n = SSL_read(ssl_.get(), buffer + received,
                         static_cast<int>(std::min<size_t>(len - received, INT32_MAX)));
            received += static_cast<size_t>(std::max(n, 0));
        }
        if (n > 0 || is_starved(n)) {
            (void)flush(); // the answer to a KeyUpdate; otherwise it would go with the next write
            return received > 0 ? static_cast<ssize_t>(received) : -1;
        }
        const bool is_close_notify = SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN;
        if (!is_close_notify)
            end_with_error();
        if (received > 0)
            return static_cast<ssize_t>(received); // and the next call says that it has ended
        return is_close_notify ? read_behind_close_notify() : 0;
    }

    ssize_t write_now(std::string_view bytes) override
    {
        std::lock_guard lock(mutex_);
        if (!flush())
            return -1;
        require_writable();
        ERR_clear_error();
        int n = SSL_write(ssl_.get(), bytes.data(),
                          static_cast<int>(std::min<size_t>(bytes.size(), kRecord)));
        require(n > 0, "SSL_write");
        (void)flush();
        require_writable();
        return n;
    }

    bool flush_now() override
    {
        std::lock_guard lock(mutex_);
        bool flushed = flush();
        require_writable();
        return flushed;
    }

    void end_writing() override
    {
        std::lock_guard lock(mutex_);
        ERR_clear_error();
        if (established_ && !ended_)
            (void)SSL_shutdown(ssl_.get());
        ERR_clear_error();
        (void)flush();
        (void)::shutdown(fd_, SHUT_WR);
    }

    std::string error() override
    {
        std::lock_guard lock(mutex_);
        return error_;
    }

    int alert() override
    {
        std::lock_guard lock(mutex_);
        return alert_;
    }

    Session session() override
    {
        std::lock_guard lock(mutex_);
        return session_;
    }

    std::string secret() override
    {
        std::lock_guard lock(mutex_);
        return secret_;
    }

    void with_ssl(const std::function<void(SSL *)> &function) override
    {
        std::lock_guard lock(mutex_);
        function(ssl_.get());
        (void)flush();
    }

  private:
    // A context takes longer to make than a handshake, so clients share one if they can.
    static websock::OwnedSsl make_ssl(const TlsOptions &options)
    {
        static const websock::OwnedSslCtx verifying = make_observed_context({});
        static const websock::OwnedSslCtx trusting = make_observed_context({.verify = false});
        if (has_shared_context(options))
            return websock::OwnedSsl(SSL_new((options.verify ? verifying : trusting).get()));
        return websock::OwnedSsl(SSL_new(make_observed_context(options).get())); // which it keeps
    }

    static websock::OwnedSslCtx make_observed_context(const TlsOptions &options)
    {
        websock::OwnedSslCtx context = make_context(options);
        SSL_CTX_set_session_cache_mode(context.get(),
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context.get(), on_session);
        SSL_CTX_set_keylog_callback(context.get(), on_secret);
        return context;
    }

    // OpenSSL calls these from within the functions above, with the lock held.
    static int on_session(SSL *ssl, SSL_SESSION *session)
    {
        auto *self = static_cast<OpenSslStream *>(SSL_get_app_data(ssl));
        self->session_ = Session(session, SSL_SESSION_free);
        return 1; // it is ours
    }

    // A line of the NSS key log: label, client random and secret, in hexadecimal.
    static void on_secret(const SSL *ssl, const char *line)
    {
        const std::string_view text(line);
        if (text.starts_with("CLIENT_TRAFFIC_SECRET_0 "))
            static_cast<OpenSslStream *>(SSL_get_app_data(ssl))->secret_ =
                text.substr(text.rfind(' ') + 1);
    }

    static void on_info(const SSL *ssl, int where, int value)
    {
        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
            static_cast<OpenSslStream *>(SSL_get_app_data(ssl))->alert_ = value & 0xff;
    }

    bool is_starved(int result) const
    {
        return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
    }

    // After a call that has failed for good.
    void end_with_error()
    {
        int error = errno;
        unsigned long code = ERR_peek_error();
        ended_ = true;
        error_ = websock::openssl_reason();
        if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
            error_ = X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
        if (code == 0) { // the socket's error, not OpenSSL's
            end_ = End::reset;
            error_ = std::strerror(error);
        } else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            end_ = End::truncated;
        } else {
            end_ = End::refused;
        }
        (void)flush(); // an alert, perhaps
    }

    // Only the EOF may follow.
    ssize_t read_behind_close_notify()
    {
        if (SSL_has_pending(ssl_.get()) == 1)
            fail("something follows close_notify");
        char byte;
        ssize_t n = ::recv(fd_, &byte, 1, 0);
        if (n > 0)
            fail("something follows close_notify");
        if (n == -1 && (errno == EAGAIN || errno == EINTR))
            return -1;
        ended_ = true;
        end_ = n == 0 ? End::eof : End::reset;
        return 0;
    }

    // Sends what has been encrypted. Returns false if some of it is left.
    bool flush()
    {
        char *bytes = nullptr;
        long len = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
        if (len > 0)
            output_.append(bytes, static_cast<size_t>(len));
        (void)BIO_reset(SSL_get_wbio(ssl_.get()));
        while (!output_.empty() && send_error_ == 0) {
            ssize_t n = ::send(fd_, output_.data(), output_.size(), MSG_NOSIGNAL);
            if (n == -1 && errno == EAGAIN)
                return false;
            if (n == -1 && errno != EINTR)
                send_error_ = errno;
            output_.erase(0, n > 0 ? static_cast<size_t>(n) : 0);
        }
        return true;
    }

    void require_writable() const
    {
        if (send_error_ != 0)
            fail(std::string("send: ") + std::strerror(send_error_));
    }

    const int fd_;
    // Guards all below. It is held for one call only, and no call waits.
    std::mutex mutex_;
    websock::OwnedSsl ssl_;
    std::string output_; // encrypted and not yet sent
    int send_error_ = 0; // an errno value: nothing more can be sent; 0: none
    bool established_ = false;
    bool ended_ = false;
    std::string error_;
    int alert_ = -1;
    Session session_;
    std::string secret_;
};

} // namespace

std::unique_ptr<TlsStream> TlsStream::make(int fd, const TlsOptions &options)
{
    return std::make_unique<OpenSslStream>(fd, options);
}

} // namespace test
