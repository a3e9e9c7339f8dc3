// certificates.h: certificates for the tests, made in this process: authorities, the
// certificates they sign, and PEM files of both in a directory that is removed when the process
// ends. Keys are EC P-256, which take no time to make. No test cases.
#pragma once

#include "transport/openssl.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace test {

// What a certificate is to contain. Times are relative to now.
struct CertificateOptions {
    // subjectAltName; a numeric one is an IP address.
    std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
    std::string common_name = {}; // "": the first host
    std::string organization = {};
    std::chrono::seconds not_before = -std::chrono::hours(1);
    std::chrono::seconds not_after = std::chrono::hours(24);
    std::string passphrase = {}; // of the key; "": it is not encrypted
    bool is_client = false;      // clientAuth, and no hosts
};

// Paths of PEM files.
struct CertificateFiles {
    std::string key_file;
    std::string cert_file;   // the certificate alone
    std::string chain_file;  // the intermediates, the issuer first; "" if the root signed it
    std::string bundle_file; // cert_file and chain_file in one
};

class Authority
{
  public:
    // A root, signed by itself.
    explicit Authority(const std::string &name, std::chrono::seconds not_after = kLong);
    // An intermediate authority, signed by this one.
    Authority intermediate(const std::string &name, std::chrono::seconds not_after = kLong) const;

    CertificateFiles issue(const CertificateOptions &options = {}) const;

    // The file of its own certificate, for whoever is to trust it.
    const std::string &ca_file() const { return ca_file_; }

  private:
    static constexpr std::chrono::seconds kLong = std::chrono::hours(24);

    Authority(const std::string &name, const Authority *issuer, std::chrono::seconds not_after);

    websock::OwnedKey key_;
    websock::OwnedX509 certificate_;
    std::string ca_file_;
    std::string chain_; // PEM: this one and its issuers, without the root
};

// What the tests' servers show by default: a certificate for localhost and the loopback
// addresses, signed by an authority that the tests' clients trust. Made once. Any thread.
const Authority &default_authority();
const CertificateFiles &default_certificate();

// A new file in the same directory, readable by its owner only. Returns its path. Any thread.
std::string scratch_file(std::string_view content);

} // namespace test
