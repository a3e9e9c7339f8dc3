// tls_options.cpp: checks and copies what the user says in libwebsock_tls_options. See
// tls_config.h.
#include "transport/tls_config.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <websock/websock.h>

namespace websock {

namespace {

std::string text(const char *given) { return given ? given : ""; }

int copy_files(const char *key, const char *certificate, const char *chain, TlsFiles &files,
               std::string &why)
{
    if (!key || !certificate) {
        why = !key ? "no keyfile is given" : "no certfile is given";
        return EINVAL;
    }
    files = {key, certificate, text(chain)};
    return 0;
}

// A DNS name, whose first label may be an asterisk.
bool is_host_pattern(std::string_view name)
{
    if (name.starts_with("*."))
        name.remove_prefix(2);
    const auto is_name_char = [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '.' || c == '_';
    };
    return !name.empty() && name.front() != '.' && name.back() != '.' &&
           std::all_of(name.begin(), name.end(), is_name_char);
}

int copy_host(const libwebsock_tls_host &from, TlsHost &host, std::string &why)
{
    host.name = text(from.host);
    if (!is_host_pattern(host.name)) {
        why = "\"" + host.name + "\" is not a host name";
        return EINVAL;
    }
    std::transform(host.name.begin(), host.name.end(), host.name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return copy_files(from.keyfile, from.certfile, from.chainfile, host.files, why);
}

} // namespace

int copy_options(const libwebsock_tls_options &from, TlsOptions &options, std::string &why)
{
    // A program that was compiled with an older header has fewer fields; the others stay 0.
    libwebsock_tls_options given{};
    if (from.size < offsetof(libwebsock_tls_options, chainfile) || from.size > sizeof given ||
        from.size % alignof(libwebsock_tls_options) != 0) {
        why = "options->size is " + std::to_string(from.size);
        return EINVAL;
    }
    std::memcpy(&given, &from, from.size);

    const int version = given.min_version;
    if (version != 0 && version != LIBWEBSOCK_TLS_1_2 && version != LIBWEBSOCK_TLS_1_3) {
        why = "min_version is neither LIBWEBSOCK_TLS_1_2 nor LIBWEBSOCK_TLS_1_3";
        return EINVAL;
    }
    if (given.client_ca_file && !*given.client_ca_file) {
        why = "client_ca_file is empty"; // a forgotten name must not let everybody in
        return EINVAL;
    }
    if (given.client_certificate_demanded && !given.client_ca_file) {
        why = "client_certificate_demanded is set, but there is no client_ca_file";
        return EINVAL;
    }
    if (given.host_count > 0 && !given.hosts) {
        why = "hosts is NULL, but host_count is not 0";
        return EINVAL;
    }
    options.client_ca = text(given.client_ca_file);
    options.client_certificate_demanded = given.client_certificate_demanded != 0;
    options.min_version = version != 0 ? version : LIBWEBSOCK_TLS_1_2;
    options.ciphers = text(given.ciphers);
    options.ciphersuites = text(given.ciphersuites);
    for (size_t i = 0; i < given.host_count; ++i) {
        options.hosts.emplace_back();
        if (const int error = copy_host(given.hosts[i], options.hosts.back(), why); error != 0)
            return error;
    }
    return copy_files(given.keyfile, given.certfile, given.chainfile, options.files, why);
}

} // namespace websock
