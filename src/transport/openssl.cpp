// openssl.cpp: see openssl.h.
#include "transport/openssl.h"

#include "base/utf8.h"

#include <new>
#include <openssl/err.h>

namespace websock {

std::string openssl_reason()
{
    // The first error is the cause of the others. But when a cipher fails, only the last error
    // says what that means for TLS.
    unsigned long code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        code = ERR_peek_error();
    ERR_clear_error();
    if (code == 0)
        return "OpenSSL gives no reason";
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        throw std::bad_alloc();
    if (const char *reason = ERR_reason_error_string(code))
        return reason;
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    return text;
}

std::optional<std::string> name_text(const X509_NAME *name)
{
    // Tried as it is first. If that is not UTF-8, all that is not ASCII is escaped.
    constexpr unsigned long kEscaped = XN_FLAG_RFC2253;
    constexpr unsigned long kRaw = kEscaped & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
    for (const unsigned long flags : {kRaw, kEscaped}) {
        const OwnedBio bio(BIO_new(BIO_s_mem()));
        if (!bio)
            throw std::bad_alloc();
        if (X509_NAME_print_ex(bio.get(), name, 0, flags) < 0)
            return std::nullopt;
        char *text = nullptr;
        const size_t len = static_cast<size_t>(BIO_get_mem_data(bio.get(), &text));
        if (is_valid_utf8({reinterpret_cast<const uint8_t *>(text), len}))
            return std::string(text, len);
    }
    return std::nullopt;
}

} // namespace websock
