// openssl.h: owners for OpenSSL's objects, and its error queue in words. Nothing of
// what TLS is used for.
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

// What went wrong in the calling thread's last call, and forgets it. Throws
// std::bad_alloc for want of memory, OpenSSL's included.
std::string openssl_reason();

// The subject or issuer of a certificate as RFC 2253 writes it, in valid UTF-8; nothing
// if it is malformed. Throws std::bad_alloc.
std::optional<std::string> name_text(const X509_NAME *name);

} // namespace websock
