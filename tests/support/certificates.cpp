// certificates.cpp: the authorities, certificates and files that certificates.h declares.
#include "certificates.h"

#include <arpa/inet.h>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <unistd.h>

namespace test {

namespace {

using websock::OwnedBio;
using websock::OwnedKey;
using websock::OwnedX509;
using OwnedExtension = std::unique_ptr<X509_EXTENSION, websock::FreedBy<X509_EXTENSION_free>>;

[[noreturn]] void fail_openssl(const std::string &what)
{
    throw std::runtime_error("certificates: " + what + ": " + websock::openssl_reason());
}

void require(bool success, const char *what)
{
    if (!success)
        fail_openssl(what);
}

// A private directory, removed with its files when the process exits.
class Directory
{
  public:
    Directory()
    {
        const char *parent = std::getenv("TMPDIR");
        path_ = std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") +
                "/websock-test-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr)
            throw std::runtime_error("mkdtemp " + path_);
    }
    ~Directory()
    {
        std::error_code ignored; // nothing depends on it
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;

    std::string next_file() { return path_ + "/" + std::to_string(++files_) + ".pem"; }

  private:
    std::string path_;
    std::atomic<int> files_ = 0;
};

Directory &directory()
{
    static Directory directory;
    return directory;
}

OwnedKey make_key()
{
    OwnedKey key(EVP_EC_gen("P-256"));
    require(key != nullptr, "EVP_EC_gen");
    return key;
}

std::string contents_of(BIO *bio)
{
    char *text = nullptr;
    long len = BIO_get_mem_data(bio, &text);
    return {text, static_cast<size_t>(len)};
}

std::string pem_of(X509 *certificate)
{
    OwnedBio bio(BIO_new(BIO_s_mem()));
    require(PEM_write_bio_X509(bio.get(), certificate) == 1, "PEM_write_bio_X509");
    return contents_of(bio.get());
}

std::string pem_of(EVP_PKEY *key, const std::string &passphrase)
{
    OwnedBio bio(BIO_new(BIO_s_mem()));
    const EVP_CIPHER *cipher = passphrase.empty() ? nullptr : EVP_aes_256_cbc();
    require(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, cipher, passphrase.data(),
                                          static_cast<int>(passphrase.size()), nullptr,
                                          nullptr) == 1,
            "PEM_write_bio_PKCS8PrivateKey");
    return contents_of(bio.get());
}

void set_serial(X509 *certificate)
{
    unsigned char bytes[8];
    require(RAND_bytes(bytes, sizeof bytes) == 1, "RAND_bytes");
    uint64_t serial = 0;
    for (unsigned char byte : bytes)
        serial = serial << 8 | byte;
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1);
}

void add_to_name(X509_NAME *name, const char *field, const std::string &value)
{
    if (value.empty())
        return;
    auto *bytes = reinterpret_cast<const unsigned char *>(value.data());
    require(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, bytes,
                                       static_cast<int>(value.size()), -1, 0) == 1,
            "X509_NAME_add_entry_by_txt");
}

struct Validity {
    std::chrono::seconds not_before;
    std::chrono::seconds not_after;
};

// A certificate of version 3 without extensions, issuer and signature.
OwnedX509 make_certificate(EVP_PKEY *key, const std::string &common_name,
                           const std::string &organization, Validity validity)
{
    OwnedX509 certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    set_serial(certificate.get());
    add_to_name(X509_get_subject_name(certificate.get()), "O", organization);
    add_to_name(X509_get_subject_name(certificate.get()), "CN", common_name);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()),
                    static_cast<long>(validity.not_before.count()));
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()),
                    static_cast<long>(validity.not_after.count()));
    require(X509_set_pubkey(certificate.get(), key) == 1, "X509_set_pubkey");
    return certificate;
}

void add_extension(X509 *certificate, X509 *issuer, int nid, const std::string &value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    OwnedExtension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

void sign(X509 *certificate, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (issuer != certificate)
        add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
    require(X509_sign(certificate, issuer_key, EVP_sha256()) > 0, "X509_sign");
}

bool is_numeric(const std::string &host)
{
    unsigned char address[sizeof(in6_addr)];
    return ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address) == 1;
}

std::string alternative_names(const std::vector<std::string> &hosts)
{
    std::string names;
    for (const std::string &host : hosts)
        names += (names.empty() ? "" : ",") + std::string(is_numeric(host) ? "IP:" : "DNS:") + host;
    return names;
}

} // namespace

Authority::Authority(const std::string &name, std::chrono::seconds not_after)
    : Authority(name, nullptr, not_after)
{
}

Authority Authority::intermediate(const std::string &name, std::chrono::seconds not_after) const
{
    return Authority(name, this, not_after);
}

Authority::Authority(const std::string &name, const Authority *issuer,
                     std::chrono::seconds not_after)
    : key_(make_key()),
      certificate_(make_certificate(key_.get(), name, "", {-std::chrono::hours(1), not_after}))
{
    X509 *signed_by = issuer == nullptr ? certificate_.get() : issuer->certificate_.get();
    add_extension(certificate_.get(), signed_by, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate_.get(), signed_by, NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(certificate_.get(), signed_by, (issuer == nullptr ? key_ : issuer->key_).get());
    ca_file_ = scratch_file(pem_of(certificate_.get()));
    if (issuer != nullptr)
        chain_ = pem_of(certificate_.get()) + issuer->chain_;
}

CertificateFiles Authority::issue(const CertificateOptions &options) const
{
    OwnedKey key = make_key();
    bool has_hosts = !options.is_client && !options.hosts.empty();
    std::string common_name = options.common_name;
    if (common_name.empty() && has_hosts)
        common_name = options.hosts.front();
    OwnedX509 certificate = make_certificate(key.get(), common_name, options.organization,
                                             {options.not_before, options.not_after});
    X509 *issuer = certificate_.get();
    add_extension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(certificate.get(), issuer, NID_ext_key_usage,
                  options.is_client ? "clientAuth" : "serverAuth");
    if (has_hosts)
        add_extension(certificate.get(), issuer, NID_subject_alt_name,
                      alternative_names(options.hosts));
    sign(certificate.get(), issuer, key_.get());
    std::string pem = pem_of(certificate.get());
    return {.key_file = scratch_file(pem_of(key.get(), options.passphrase)),
            .cert_file = scratch_file(pem),
            .chain_file = chain_.empty() ? "" : scratch_file(chain_),
            .bundle_file = scratch_file(pem + chain_)};
}

const Authority &default_authority()
{
    static const Authority authority("libwebsock's tests");
    return authority;
}

const CertificateFiles &default_certificate()
{
    static const CertificateFiles certificate = default_authority().issue();
    return certificate;
}

std::string scratch_file(std::string_view content)
{
    std::string path = directory().next_file();
    std::ofstream file(path, std::ios::binary);
    file << content;
    file.close();
    if (!file)
        throw std::runtime_error("cannot write " + path);
    return path;
}

} // namespace test
