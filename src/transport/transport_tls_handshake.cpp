// transport_tls_handshake.cpp: TlsTransport up to the end of the TLS handshake. Only the
// connection's thread is here, and it both reads and sends.
#include "transport/tls_config.h"
#include "transport/transport_tls.h"

#include <cctype>
#include <cstring>
#include <openssl/crypto.h>

namespace websock {

namespace {

// nullptr if the name in the client's certificate is malformed.
std::unique_ptr<TlsInfo> describe_session(SSL *ssl)
{
    auto info = std::make_unique<TlsInfo>();
    info->version = SSL_get_version(ssl);
    info->cipher = SSL_get_cipher_name(ssl);
    if (const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
        info->server_name = name;
    if (const OwnedX509 certificate{SSL_get1_peer_certificate(ssl)}) {
        const auto subject = name_text(X509_get_subject_name(certificate.get()));
        if (!subject)
            return nullptr;
        info->client_subject = *subject;
    }
    info->resumed = SSL_session_reused(ssl) != 0;
    return info;
}

} // namespace

Transport::Opening TlsTransport::open(TimePoint deadline, const std::function<void()> &progressed)
{
    Opening opening = handshake(deadline, progressed);
    // RFC 6455 4.2.2: "... all further communication ... MUST run through the encrypted tunnel ..."
    encrypted_ = opening.result == Opening::ready;
    return opening;
}

// OpenSSL keeps random generators for each thread that has used one. From the handshake on this
// thread only decrypts, and needs none; but the next connection it serves does.
void TlsTransport::give_memory_back() { OPENSSL_thread_stop(); }

TlsSession &TlsTransport::begin_session()
{
    Lock lock(mutex_);
    session_ = std::make_unique<TlsSession>(config_->context());
    return *session_;
}

Transport::Opening TlsTransport::handshake(TimePoint deadline,
                                           const std::function<void()> &progressed)
{
    // No other thread uses the session before open() returns. So the handshake is computed without
    // the lock, which shut() and abort() must get at once.
    TlsSession &session = begin_session();
    auto turn = HandshakeGate::Step::beginning;
    for (bool first = true;; first = false) {
        const int left_ms = ms_until(deadline);
        const Received received =
            left_ms > 0 ? receive(left_ms) : Received{.result = Received::timed_out};
        if (received.result == Received::end)
            return {.result = Opening::gone, .silent = first, .why = "the peer closed"};
        if (received.result == Received::timed_out)
            return {.result = Opening::gone,
                    .silent = first,
                    .late = true,
                    .why = "not complete in time"};
        if (received.result != Received::bytes)
            return {.result = Opening::gone, .silent = first, .why = why()};
        // A TLS handshake begins with a byte of 22, an HTTP request with a letter.
        if (first && std::isalpha(wire_.bytes().front()))
            return {.result = Opening::plaintext};
        Step step = Step::done;
        {
            const HandshakeGate::Place place(gate_, visitor_, turn, deadline);
            if (!place)
                return {.result = Opening::gone, .why = "not complete in time"};
            step = session.accept();
        }
        const bool answers = session.has_output();
        const int error = send_all_sealed(deadline);
        if (step == Step::failed)
            return {.result = Opening::refused, .why = session.why()};
        if (error != 0)
            return {.result = Opening::gone, .why = std::strerror(error)};
        if (step == Step::done)
            return describe();
        if (answers && turn == HandshakeGate::Step::beginning) {
            turn = HandshakeGate::Step::answered;
            progressed();
        }
    }
}

Transport::Opening TlsTransport::describe()
{
    Lock lock(mutex_);
    std::unique_ptr<TlsInfo> info = describe_session(session_->ssl());
    if (!info)
        return {.result = Opening::gone, .why = "the client's certificate has a malformed name"};
    return {.result = Opening::ready, .tls = std::move(info)};
}

} // namespace websock
