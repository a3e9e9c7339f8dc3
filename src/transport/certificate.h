// certificate.h: reads keys and certificates from PEM files, and says what is wrong with
// them in words that name the file. What they are used for is tls_config.h's.
#pragma once

#include "transport/openssl.h"

#include <string>
#include <vector>

namespace websock {

// A problem with a file: an errno value and words.
struct BadFile {
    int error;
    std::string why;
};

// All of these throw BadFile, or std::bad_alloc.
OwnedKey read_key(const std::string &file);
// At least one.
std::vector<OwnedX509> read_certificates(const std::string &file);

// A server's certificate, with those that link it to a root behind it.
struct CertificateChain {
    std::vector<OwnedX509> certificates; // its own first
    OwnedKey key;
};
// chain_file: "" for none. Certificate and key belong together, and each certificate
// behind the first has signed one of the others.
CertificateChain read_chain(const std::string &key_file, const std::string &certificate_file,
                            const std::string &chain_file);

// "": it is valid now.
std::string validity_problem(const X509 *certificate);

} // namespace websock
