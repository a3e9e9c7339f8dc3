// tls_forger.cpp: see tls_forger.h.
#include "tls_forger.h"

#include "transport/openssl.h"

#include <cerrno>
#include <cstring>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sys/socket.h>

namespace test {

namespace {

using Kdf = std::unique_ptr<EVP_KDF, websock::FreedBy<EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, websock::FreedBy<EVP_KDF_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, websock::FreedBy<EVP_CIPHER_CTX_free>>;

unsigned char *bytes(std::string &text) { return reinterpret_cast<unsigned char *>(text.data()); }

void require(bool success, const char *what)
{
    if (!success)
        fail(std::string(what) + ": " + websock::openssl_reason());
}

std::string from_hex(const std::string &text)
{
    std::string binary;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        binary += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    return binary;
}

// HKDF-Expand-Label of RFC 8446 7.1, with an empty context.
std::string expand_label(std::string secret, const std::string &name, size_t len)
{
    const std::string label = "tls13 " + name;
    std::string info{'\0', static_cast<char>(len), static_cast<char>(label.size())};
    info += label + '\0';
    const Kdf kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const KdfContext context(EVP_KDF_CTX_new(kdf.get()));
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        OSSL_PARAM_construct_end()};
    std::string out(len, '\0');
    require(EVP_KDF_derive(context.get(), bytes(out), len, parameters) == 1, "HKDF");
    return out;
}

} // namespace

TlsForger::TlsForger(Client &client, uint64_t records_sent)
    : client_(client), sequence_(records_sent)
{
    const std::string secret = from_hex(client.tls().secret());
    key_ = expand_label(secret, "key", 16);
    iv_ = expand_label(secret, "iv", 12);
}

void TlsForger::send(char content_type, std::string_view content)
{
    write(seal(content_type, content));
}

void TlsForger::send(char content_type, std::string_view content, char next_type,
                     std::string_view next)
{
    const std::string first = seal(content_type, content);
    write(first + seal(next_type, next));
}

// RFC 8446 5.2 and 5.3.
std::string TlsForger::seal(char content_type, std::string_view content)
{
    std::string inner = std::string(content) + content_type;
    std::string nonce = iv_;
    for (size_t i = 0; i < 8; i++)
        nonce[11 - i] = static_cast<char>(nonce[11 - i] ^ static_cast<char>(sequence_ >> (8 * i)));
    sequence_++;
    std::string record("\x17\x03\x03\x00", 4);
    record += static_cast<char>(inner.size() + 16);

    const CipherContext context(EVP_CIPHER_CTX_new());
    EVP_CIPHER_CTX *ctx = context.get();
    std::string sealed(inner.size() + 16, '\0');
    int len = 0;
    require(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), nullptr, bytes(key_), bytes(nonce)) == 1 &&
                EVP_EncryptUpdate(ctx, nullptr, &len, bytes(record), 5) == 1 &&
                EVP_EncryptUpdate(ctx, bytes(sealed), &len, bytes(inner),
                                  static_cast<int>(inner.size())) == 1 &&
                EVP_EncryptFinal_ex(ctx, bytes(sealed) + len, &len) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, bytes(sealed) + inner.size()) ==
                    1,
            "AES-GCM");
    return record + sealed;
}

void TlsForger::write(const std::string &records)
{
    // Small enough for any socket buffer.
    if (::send(client_.fd(), records.data(), records.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(records.size()))
        fail(std::string("send: ") + std::strerror(errno));
}

} // namespace test
