// tls_session.cpp: see tls_session.h.
#include "transport/tls_session.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <openssl/err.h>
#include <utility>

namespace websock {

namespace {

// A peer that provokes more answers than this, and reads none of them, is up to no good.
constexpr size_t kMostAnswerBytes = 64 * 1024;

} // namespace

TlsSession::TlsSession(SSL_CTX *context) : ssl_(SSL_new(context))
{
    BIO_METHOD *method = bio_method();
    BIO *bio = method ? BIO_new(method) : nullptr;
    if (!ssl_ || !bio) {
        BIO_free(bio);
        throw std::bad_alloc();
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio); // the SSL frees it
    SSL_set_accept_state(ssl_.get());
}

// Made once for the process, and never freed.
BIO_METHOD *TlsSession::bio_method()
{
    static BIO_METHOD *const method = [] {
        BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "TlsSession");
        if (made) {
            BIO_meth_set_read(made, read_bio);
            BIO_meth_set_write(made, write_bio);
            BIO_meth_set_ctrl(made, control_bio);
        }
        return made;
    }();
    return method;
}

int TlsSession::read_bio(BIO *bio, char *into, int len)
{
    auto &session = *static_cast<TlsSession *>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const size_t n = std::min(session.input_.size(), static_cast<size_t>(std::max(len, 0)));
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    std::memcpy(into, session.input_.data(), n);
    session.input_ = session.input_.subspan(n);
    return static_cast<int>(n);
}

int TlsSession::write_bio(BIO *bio, const char *from, int len)
{
    auto &session = *static_cast<TlsSession *>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    try {
        // From uint8_t, so that it is one memmove: from char, it is a loop over bytes.
        const auto *bytes = reinterpret_cast<const uint8_t *>(from);
        session.output_.insert(session.output_.end(), bytes, bytes + len);
    } catch (const std::bad_alloc &) {
        return -1; // which ends the connection
    }
    return len;
}

long TlsSession::control_bio(BIO *, int command, long, void *)
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

TlsSession::Step TlsSession::accept()
{
    Step step = failed_ ? Step::failed : Step::done;
    while (step == Step::done && !SSL_is_init_finished(ssl_.get())) {
        ERR_clear_error();
        step = outcome(SSL_accept(ssl_.get()));
    }
    return step;
}

TlsSession::Step TlsSession::read(std::span<uint8_t> into, size_t &n)
{
    n = 0;
    if (failed_)
        return Step::failed;
    // OpenSSL would find this out, too, but only after it has allocated a buffer.
    if (input_.empty() && !SSL_has_pending(ssl_.get()))
        return has_received_end() ? Step::closed : Step::starved;
    if (answer_bytes_ > kMostAnswerBytes)
        return fail("too many unread answers");
    const size_t output_before = output_.size();
    ERR_clear_error();
    const Step step = outcome(SSL_read_ex(ssl_.get(), into.data(), into.size(), &n));
    answer_bytes_ += output_.size() - output_before;
    return step;
}

TlsSession::Step TlsSession::write(std::span<const uint8_t> from, size_t &n)
{
    n = 0;
    if (failed_)
        return Step::failed;
    ERR_clear_error();
    return outcome(SSL_write_ex(ssl_.get(), from.data(), from.size(), &n));
}

void TlsSession::take_output(std::vector<uint8_t> &empty)
{
    output_.swap(empty);
    answer_bytes_ = 0;
}

void TlsSession::close()
{
    if (failed_ || (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

// The one place where OpenSSL's errors are read.
TlsSession::Step TlsSession::outcome(int result)
{
    if (result > 0)
        return Step::done;
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
        // Without SSL_MODE_AUTO_RETRY this also comes after each record that is not data.
        return input_.empty() ? Step::starved : Step::done;
    case SSL_ERROR_ZERO_RETURN:
        return Step::closed;
    default:
        break;
    }
    const long verified = SSL_get_verify_result(ssl_.get());
    std::string why = openssl_reason();
    if (verified != X509_V_OK)
        why += std::string(": ") + X509_verify_cert_error_string(verified);
    return fail(std::move(why));
}

TlsSession::Step TlsSession::fail(std::string why)
{
    failed_ = true;
    why_ = std::move(why);
    return Step::failed;
}

} // namespace websock
