// certificate.cpp: see certificate.h.
#include "transport/certificate.h"

#include "base/fd.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace websock {

namespace {

constexpr size_t kMostBytes = 4 * 1024 * 1024; // all public roots need a quarter of it

[[noreturn]] void fail(const std::string &file, const std::string &why, int error = EINVAL)
{
    throw BadFile{error, file + ": " + why};
}

// Reads the whole file first: then errno is about the file, and OpenSSL's errors are about what
// is in it.
std::string read_file(const std::string &file)
{
    const UniqueFd fd = above_stdio(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd)
        fail(file, std::strerror(errno), errno);
    std::string content;
    content.reserve(16 * 1024); // growing would leave copies of a key behind
    char bytes[4096];
    for (;;) {
        const ssize_t n = read(fd.get(), bytes, sizeof bytes);
        if (n == 0)
            return content;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail(file, std::strerror(errno), errno);
        content.append(bytes, static_cast<size_t>(n));
        OPENSSL_cleanse(bytes, sizeof bytes);
        if (content.size() > kMostBytes)
            fail(file, "too large for a PEM file");
    }
}

OwnedBio bio_of(const std::string &content)
{
    OwnedBio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
    if (!bio)
        throw std::bad_alloc();
    return bio;
}

// PEM's callback for a password: there is nobody to ask. Notes in *asked that one was needed.
int no_password(char *, int, int, void *asked)
{
    *static_cast<bool *>(asked) = true;
    return -1;
}

bool at_end_of_pem()
{
    const unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

std::string subject_of(const X509 *certificate)
{
    return name_text(X509_get_subject_name(certificate)).value_or("(a malformed name)");
}

bool has_issued(X509 *issuer, X509 *certificate)
{
    const bool issued = issuer != certificate &&
                        X509_check_issued(issuer, certificate) == X509_V_OK &&
                        X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return issued;
}

// Checks, from that index on, that every certificate but the first has issued one of the others.
// Their order does not matter: clients sort them.
void check_links(const std::vector<OwnedX509> &certificates, size_t from, const std::string &file)
{
    for (size_t i = std::max<size_t>(from, 1); i < certificates.size(); ++i) {
        X509 *issuer = certificates[i].get();
        const auto is_its = [&](const OwnedX509 &other) { return has_issued(issuer, other.get()); };
        if (std::none_of(certificates.begin(), certificates.end(), is_its))
            fail(file, "the chain is broken: the certificate of " + subject_of(issuer) +
                           " has issued none of the others");
    }
}

// Adds the certificates of a file that are not there yet: some authorities put the server's own
// into the chain file as well.
void add_certificates(const std::string &file, std::vector<OwnedX509> &certificates)
{
    const size_t before = certificates.size();
    for (OwnedX509 &certificate : read_certificates(file)) {
        const auto is_same = [&](const OwnedX509 &other) {
            return X509_cmp(other.get(), certificate.get()) == 0;
        };
        if (std::none_of(certificates.begin(), certificates.end(), is_same))
            certificates.push_back(std::move(certificate));
    }
    check_links(certificates, before, file);
}

std::string time_text(const ASN1_TIME *time)
{
    const OwnedBio bio(BIO_new(BIO_s_mem()));
    if (!bio)
        throw std::bad_alloc();
    ASN1_TIME_print(bio.get(), time);
    char *text = nullptr;
    const long len = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<size_t>(len)};
}

} // namespace

OwnedKey read_key(const std::string &file)
{
    std::string content = read_file(file);
    ERR_clear_error();
    bool asked = false;
    OwnedKey key(PEM_read_bio_PrivateKey(bio_of(content).get(), nullptr, no_password, &asked));
    OPENSSL_cleanse(content.data(), content.size());
    if (key)
        return key;
    if (asked) {
        ERR_clear_error();
        fail(file, "the key is encrypted, and a server cannot ask for its password");
    }
    fail(file, "no private key in PEM format: " + openssl_reason());
}

std::vector<OwnedX509> read_certificates(const std::string &file)
{
    const std::string content = read_file(file);
    const OwnedBio bio = bio_of(content);
    std::vector<OwnedX509> certificates;
    ERR_clear_error();
    bool asked = false; // PEM allows encrypted certificates, though nobody has them
    while (X509 *certificate = PEM_read_bio_X509(bio.get(), nullptr, no_password, &asked))
        certificates.emplace_back(certificate);
    const bool at_end = at_end_of_pem();
    const std::string reason = openssl_reason();
    if (!at_end)
        fail(file, "not a certificate: " + reason);
    if (certificates.empty())
        fail(file, "no certificate in PEM format: " + reason);
    return certificates;
}

CertificateChain read_chain(const std::string &key_file, const std::string &certificate_file,
                            const std::string &chain_file)
{
    CertificateChain chain;
    add_certificates(certificate_file, chain.certificates);
    chain.key = read_key(key_file);
    if (X509_check_private_key(chain.certificates.front().get(), chain.key.get()) != 1)
        fail(key_file, "does not match " + certificate_file + ": " + openssl_reason());
    if (!chain_file.empty())
        add_certificates(chain_file, chain.certificates);
    return chain;
}

std::string validity_problem(const X509 *certificate)
{
    const ASN1_TIME *end = X509_get0_notAfter(certificate);
    const ASN1_TIME *begin = X509_get0_notBefore(certificate);
    if (X509_cmp_current_time(end) < 0)
        return "the certificate of " + subject_of(certificate) + " expired on " + time_text(end);
    if (X509_cmp_current_time(begin) > 0)
        return "the certificate of " + subject_of(certificate) + " is not valid before " +
               time_text(begin);
    return "";
}

} // namespace websock
