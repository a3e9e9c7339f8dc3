// stream.cpp: see stream.h.
#include "stream.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace bench {

namespace {

constexpr size_t kRecord = 16384; // RFC 8446 5.1: the most plaintext in one record
// Received at once: a client must not need more system calls than a server.
constexpr size_t kReadAhead = 64 * 1024;

} // namespace

TlsClient::TlsClient(const Settings &settings) : context_(SSL_CTX_new(TLS_client_method()))
{
    SSL_CTX *context = context_.get();
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        give_up("no TLS 1.3");
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF); // any end will do
    if (settings.resumed) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(context, this);
        SSL_CTX_sess_set_new_cb(context, keep);
    }
    std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes with write(2), which raises it
}

int TlsClient::keep(SSL *ssl, SSL_SESSION *session)
{
    auto &self = *static_cast<TlsClient *>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    self.session_.reset(session);
    return 1; // we keep the reference
}

bool TlsClient::resume()
{
    // OpenSSL would drop the session when the next ticket comes.
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
    resumes_ = session_ != nullptr;
    return resumes_;
}

OwnedSsl TlsClient::make(int fd)
{
    OwnedSsl ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd) != 1)
        give_up("SSL_new");
    if (resumes_ && SSL_set_session(ssl.get(), session_.get()) != 1)
        give_up("SSL_set_session");
    SSL_set_connect_state(ssl.get());
    return ssl;
}

Stream::Stream(int fd, TlsClient *tls)
    : fd_(fd), resumes_(tls && tls->resumes()), ssl_(tls ? tls->make(fd) : nullptr)
{
}

Stream &Stream::operator=(Stream &&other) noexcept
{
    std::swap(fd_, other.fd_);
    std::swap(resumes_, other.resumes_);
    std::swap(has_more_, other.has_more_);
    std::swap(ssl_, other.ssl_);
    std::swap(record_, other.record_);
    return *this;
}

bool Stream::secure()
{
    if (!ssl_)
        return true;
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
        if (would_block(result))
            return false;
        give_up("TLS handshake");
    }
    // Measure only what was asked for.
    if (resumes_ != (SSL_session_reused(ssl_.get()) == 1))
        give_up("TLS handshake: full instead of resumed, or the other way round");
    has_more_ = SSL_has_pending(ssl_.get());
    return true;
}

ssize_t Stream::receive(std::span<char> into)
{
    if (!ssl_)
        return recv(fd_, into.data(), into.size(), 0);
    has_more_ = false;
    size_t total = 0;
    do {
        size_t n = 0;
        const int result = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &n);
        total += n;
        if (result == 1)
            continue;
        if (total > 0 || SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN)
            break; // any other error shows again
        errno = would_block(result) ? EAGAIN : EPROTO;
        return -1;
    } while (total < into.size() && SSL_has_pending(ssl_.get()));
    // A partly received record would be pending, too.
    has_more_ = total == into.size() && SSL_has_pending(ssl_.get());
    return static_cast<ssize_t>(total);
}

ssize_t Stream::send(std::span<const iovec> parts)
{
    if (!ssl_) {
        msghdr message{};
        message.msg_iov = const_cast<iovec *>(parts.data());
        message.msg_iovlen = parts.size();
        return sendmsg(fd_, &message, MSG_NOSIGNAL);
    }
    size_t total = 0;
    for (;;) {
        const std::span<const char> record = next_record(parts, total);
        if (record.empty())
            return static_cast<ssize_t>(total);
        size_t n = 0;
        const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &n);
        if (result == 1) {
            total += n;
            continue;
        }
        if (!would_block(result))
            give_up("cannot send");
        if (total > 0)
            return static_cast<ssize_t>(total);
        errno = EAGAIN;
        return -1;
    }
}

bool Stream::send_all(std::string_view bytes)
{
    const iovec part{const_cast<char *>(bytes.data()), bytes.size()};
    return send({&part, 1}) == static_cast<ssize_t>(bytes.size());
}

void Stream::end()
{
    if (ssl_)
        (void)SSL_shutdown(ssl_.get());
    (void)shutdown(fd_, SHUT_WR);
}

void Stream::close()
{
    // Otherwise OpenSSL may consider the session broken, and not resume it.
    if (ssl_)
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
    if (fd_ >= 0)
        (void)::close(fd_);
    fd_ = -1;
    has_more_ = false;
}

bool Stream::would_block(int result) const
{
    const int error = SSL_get_error(ssl_.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

// The bytes of parts after the first `done`: joined into a record, unless the first piece
// fills one.
std::span<const char> Stream::next_record(std::span<const iovec> parts, size_t done)
{
    while (!parts.empty() && done >= parts.front().iov_len) {
        done -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
    if (parts.empty())
        return {};
    const auto *first = static_cast<const char *>(parts.front().iov_base) + done;
    const size_t first_len = parts.front().iov_len - done;
    if (parts.size() == 1 || first_len >= kRecord)
        return {first, std::min(first_len, kRecord)};
    record_.assign(first, first_len);
    for (const iovec &part : parts.subspan(1))
        record_.append(static_cast<const char *>(part.iov_base),
                       std::min(part.iov_len, kRecord - record_.size()));
    return record_;
}

} // namespace bench
