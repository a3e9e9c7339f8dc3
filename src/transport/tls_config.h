// tls_config.h: what the user tells a TLS listener (TlsOptions), and what it becomes once its files
// are read and checked (TlsConfig). A connection's TLS is in tls_session.h.
#pragma once

#include "base/lock.h"
#include "transport/openssl.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct libwebsock_tls_options;

namespace websock {

struct TlsFiles {
    std::string key;
    std::string certificate;
    std::string chain; // "" if there is none
};

struct TlsHost {
    std::string name; // in lower case; may begin with "*."
    TlsFiles files;
};

struct TlsOptions {
    TlsFiles files;
    std::string client_ca; // "": clients are not asked for certificates
    bool client_certificate_demanded = false;
    int min_version = 0;
    std::string ciphers; // "": OpenSSL's default
    std::string ciphersuites;
    std::vector<TlsHost> hosts;
};

// Checks and copies what the user says. Returns 0, or EINVAL and why.
int copy_options(const libwebsock_tls_options &from, TlsOptions &options, std::string &why);

// Certificates and keys, ready for connections. Never changes once it is loaded, so any thread may
// use it.
class TlsConfig
{
  public:
    struct Loaded {
        std::unique_ptr<const TlsConfig> config; // nullptr if it failed
        int error = 0;                           // then an errno value
        std::string why;                         // and words that name the file
        std::vector<std::string> warnings;       // of certificates that clients will refuse
    };
    // Reads and checks every file. Throws std::bad_alloc.
    static Loaded load(const TlsOptions &options);

    SSL_CTX *context() const { return default_.get(); }

  private:
    struct Host {
        std::string name;
        OwnedSslCtx context;
    };

    TlsConfig() = default;
    static int choose_host(SSL *ssl, int *alert, void *self);
    SSL_CTX *context_of(std::string_view name) const;

    OwnedSslCtx default_;
    std::vector<Host> hosts_;
};

// What one listener presents now: its options, and the TlsConfig that was last loaded from them.
class TlsIdentity
{
  public:
    TlsIdentity(TlsOptions &&options, std::shared_ptr<const TlsConfig> config)
        : options_(std::move(options)), config_(std::move(config))
    {
    }

    const TlsOptions &options() const { return options_; }
    std::shared_ptr<const TlsConfig> config() EXCLUDES(mutex_);
    void replace(std::shared_ptr<const TlsConfig> config) EXCLUDES(mutex_);

  private:
    const TlsOptions options_;
    Mutex mutex_;
    std::shared_ptr<const TlsConfig> config_ GUARDED_BY(mutex_);
};

} // namespace websock
