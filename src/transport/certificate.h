// certificate.h: reads keys and certificates from PEM files, and says in words what is wrong with
// which file. What they are used for is in tls_config.h.
#pragma once

#include "transport/openssl.h"

#include <string>
#include <vector>

namespace websock {

// What is wrong with a file: an errno value, and words that begin with the file's name.
struct BadFile {
    int error;
    std::string why;
};

// These three throw BadFile or std::bad_alloc.
OwnedKey read_key(const std::string &file);
// Returns at least one.
std::vector<OwnedX509> read_certificates(const std::string &file);

// A server's certificate, and behind it those that link it to a root.
struct CertificateChain {
    std::vector<OwnedX509> certificates; // its own first
    OwnedKey key;
};
// chain_file: "" for none. Checks that the key is the certificate's, and that each certificate
// behind the first has issued another one.
CertificateChain read_chain(const std::string &key_file, const std::string &certificate_file,
                            const std::string &chain_file);

// "" if it is valid now, or why not, in words.
std::string validity_problem(const X509 *certificate);

} // namespace websock
