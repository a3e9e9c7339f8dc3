// tls_config.cpp: see tls_config.h. Files are read in certificate.cpp.
#include "transport/tls_config.h"

#include "transport/certificate.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <new>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace websock {

namespace {

constexpr unsigned char kSessionIdContext[] = "libwebsock";

// RFC 7301: chooses HTTP/1.1, the one protocol over which RFC 6455 opens a WebSocket.
int choose_protocol(SSL *, const unsigned char **chosen, unsigned char *chosen_len,
                    const unsigned char *offered, unsigned offered_len, void *)
{
    static constexpr std::string_view kHttp = "http/1.1";
    const std::string_view list(reinterpret_cast<const char *>(offered), offered_len);
    for (size_t at = 0; at < list.size();) {
        const size_t len = static_cast<unsigned char>(list[at]);
        if (list.substr(at + 1, len) == kHttp) {
            *chosen = offered + at + 1;
            *chosen_len = kHttp.size();
            return SSL_TLSEXT_ERR_OK;
        }
        at += 1 + len;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; // no_application_protocol
}

// Throws BadFile unless good, with words that begin with what.
void check(bool good, const std::string &what)
{
    if (!good)
        throw BadFile{EINVAL, what + ": " + openssl_reason()};
}

void use_certificate(SSL_CTX *context, const TlsFiles &files, std::vector<std::string> &warnings,
                     std::string_view host)
{
    const CertificateChain chain = read_chain(files.key, files.certificate, files.chain);
    ERR_clear_error();
    X509 *own = chain.certificates.front().get();
    check(SSL_CTX_use_certificate(context, own) == 1, files.certificate);
    check(SSL_CTX_use_PrivateKey(context, chain.key.get()) == 1, files.key);
    for (size_t i = 1; i < chain.certificates.size(); ++i)
        check(SSL_CTX_add1_chain_cert(context, chain.certificates[i].get()) == 1,
              files.chain.empty() ? files.certificate : files.chain);

    for (const OwnedX509 &certificate : chain.certificates) {
        const std::string problem = validity_problem(certificate.get());
        if (!problem.empty())
            warnings.push_back(files.certificate + ": " + problem);
    }
    std::string name(host);
    if (name.starts_with('*'))
        name.front() = 'x'; // any label
    if (!name.empty() && X509_check_host(own, name.data(), name.size(), 0, nullptr) != 1)
        warnings.push_back(files.certificate + ": the certificate is not for " + std::string(host));
}

void use_client_authorities(SSL_CTX *context, const std::string &file, bool demanded)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    for (const OwnedX509 &authority : read_certificates(file)) {
        ERR_clear_error();
        check(X509_STORE_add_cert(store, authority.get()) == 1, file);
        check(SSL_CTX_add_client_CA(context, authority.get()) == 1, file);
    }
    // Every authority in the file is trusted, even one that is not a root.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    // No session is resumed, since its certificate would not be verified again: one that has
    // expired would be good for as long as the ticket is.
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
}

void set_protocol(SSL_CTX *context, const TlsOptions &options)
{
    check(SSL_CTX_set_min_proto_version(context, options.min_version) == 1, "min_version");
    check(options.ciphers.empty() || SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) == 1,
          "ciphers \"" + options.ciphers + "\"");
    check(options.ciphersuites.empty() ||
              SSL_CTX_set_ciphersuites(context, options.ciphersuites.c_str()) == 1,
          "ciphersuites \"" + options.ciphersuites + "\"");
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
    // Clients keep the tickets from which sessions are resumed; the server keeps nothing.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // OpenSSL's buffers, 16 KiB and more, are there only while a record is in them.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // SSL_read returns after each record, so its caller does not hold a lock for long.
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    // One for all of them will do: a ticket can be read only with the key of the SSL_CTX that
    // issued it.
    check(SSL_CTX_set_session_id_context(context, kSessionIdContext,
                                         sizeof kSessionIdContext - 1) == 1,
          "session id context");
}

// host: the name it is for, or "" for all other names. Contexts differ only in the certificate, but
// each is complete, since OpenSSL takes more than that from the one it switches to.
OwnedSslCtx make_context(const TlsOptions &options, const TlsFiles &files, std::string_view host,
                         std::vector<std::string> &warnings)
{
    ERR_clear_error();
    OwnedSslCtx context(SSL_CTX_new(TLS_server_method()));
    check(context != nullptr, "SSL_CTX_new");
    set_protocol(context.get(), options);
    use_certificate(context.get(), files, warnings, host);
    if (!options.client_ca.empty())
        use_client_authorities(context.get(), options.client_ca,
                               options.client_certificate_demanded);
    return context;
}

} // namespace

TlsConfig::Loaded TlsConfig::load(const TlsOptions &options)
{
    Loaded loaded;
    try {
        std::unique_ptr<TlsConfig> config(new TlsConfig);
        config->default_ = make_context(options, options.files, "", loaded.warnings);
        for (const TlsHost &host : options.hosts)
            config->hosts_.push_back(
                {host.name, make_context(options, host.files, host.name, loaded.warnings)});
        SSL_CTX_set_tlsext_servername_callback(config->default_.get(), choose_host);
        SSL_CTX_set_tlsext_servername_arg(config->default_.get(), config.get());
        loaded.config = std::move(config);
    } catch (const BadFile &bad) {
        loaded.error = bad.error;
        loaded.why = bad.why;
    }
    return loaded;
}

// RFC 6066 3: gives a connection the certificate of the host that its client asks for.
int TlsConfig::choose_host(SSL *ssl, int *, void *self)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX *context = static_cast<const TlsConfig *>(self)->context_of(name);
    const bool is_set = !context || SSL_set_SSL_CTX(ssl, context);
    return is_set ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// nullptr if the name is not configured. Must not throw: OpenSSL calls it.
SSL_CTX *TlsConfig::context_of(std::string_view name) const
{
    const auto equal = [](std::string_view a, std::string_view b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
            return x == std::tolower(static_cast<unsigned char>(y));
        });
    };
    for (const Host &host : hosts_) {
        if (equal(host.name, name))
            return host.context.get();
    }
    const size_t dot = name.find('.');
    if (dot == name.npos || dot == 0)
        return nullptr;
    for (const Host &host : hosts_) {
        const std::string_view pattern = host.name;
        if (pattern.starts_with('*') && equal(pattern.substr(1), name.substr(dot)))
            return host.context.get();
    }
    return nullptr;
}

std::shared_ptr<const TlsConfig> TlsIdentity::config()
{
    Lock lock(mutex_);
    return config_;
}

void TlsIdentity::replace(std::shared_ptr<const TlsConfig> config)
{
    Lock lock(mutex_);
    config_.swap(config); // so that the old one is freed without the lock
}

} // namespace websock
