// openssl.h: owners of OpenSSL's objects, and OpenSSL's error queue in words. What they are used
// for is in certificate.h, tls_config.h and tls_session.h.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <optional>
#include <string>

namespace websock {

template<auto free> struct FreedBy {
    template<class T> void operator()(T *object) const { free(object); }
};

using OwnedBio = std::unique_ptr<BIO, FreedBy<BIO_free>>;
using OwnedKey = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using OwnedSsl = std::unique_ptr<SSL, FreedBy<SSL_free>>;
using OwnedSslCtx = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using OwnedX509 = std::unique_ptr<X509, FreedBy<X509_free>>;

// Says what went wrong in this thread's last call of OpenSSL, and empties the error queue. Throws
// std::bad_alloc when memory ran out, here or in OpenSSL.
std::string openssl_reason();

// The subject or issuer of a certificate as RFC 2253 writes it, in valid UTF-8, or nullopt if it
// is malformed. Throws std::bad_alloc.
std::optional<std::string> name_text(const X509_NAME *name);

} // namespace websock
