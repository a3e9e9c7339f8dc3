// tls_config.h: what a TLS listener is told (TlsOptions), and what that becomes when its
// files have been read and checked (TlsConfig). Connections are tls_session.h's.
#pragma once

#include "base/lock.h"
#include "transport/openssl.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct libwebsock_tls_options;

namespace websock {

struct TlsFiles {
    std::string key;
    std::string certificate;
    std::string chain; // "": there is none
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

// Copies what the user has said. 0, or EINVAL and why.
int copy_options(const libwebsock_tls_options &from, TlsOptions &options, std::string &why);

// Certificates and keys, ready for connections. Never changes once it is loaded; any
// thread.
class TlsConfig
{
  public:
    struct Loaded {
        std::unique_ptr<const TlsConfig> config; // nullptr: error and why say what is wrong
        int error = 0;
        std::string why;                   // names the file
        std::vector<std::string> warnings; // certificates that clients will not like
    };
    // Reads and checks all files. Throws std::bad_alloc.
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

// The certificates of one listener as they are now.
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
