// url_encoded.cpp: see url_encoded.h.
#include "protocol/url_encoded.h"

#include <algorithm>
#include <cerrno>

namespace websock {

namespace {

// -1: it is no hexadecimal digit.
int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

} // namespace

bool PercentDecoder::next(char &byte)
{
    if (rest_.empty()) {
        return false;
    }
    byte = rest_.front();
    if (byte == '%' && rest_.size() >= 3 && hex_value(rest_[1]) >= 0 && hex_value(rest_[2]) >= 0) {
        byte = static_cast<char>(hex_value(rest_[1]) * 16 + hex_value(rest_[2]));
        rest_.remove_prefix(3);
        return true;
    }
    if (byte == '+' && plus_ == Plus::is_space) {
        byte = ' ';
    }
    rest_.remove_prefix(1);
    return true;
}

bool decodes_to(std::string_view encoded, Plus plus, std::string_view plain)
{
    PercentDecoder decoder(encoded, plus);
    char byte;
    for (const char wanted : plain) {
        if (!decoder.next(byte) || byte != wanted) {
            return false;
        }
    }
    return !decoder.next(byte);
}

int decode_into(std::string_view encoded, Plus plus, char *out, size_t size)
{
    PercentDecoder decoder(encoded, plus);
    size_t len = 0;
    bool has_nul = false;
    for (char byte; decoder.next(byte); ++len) {
        if (len < size) {
            out[len] = byte;
        }
        has_nul |= byte == '\0';
    }
    if (size == 0) {
        return EINVAL;
    }
    const bool fits = len < size;
    out[fits && !has_nul ? len : 0] = '\0';
    if (has_nul) { // a larger buffer would not help
        return EINVAL;
    }
    return fits ? 0 : ERANGE;
}

std::optional<std::string_view> find_query_parameter(std::string_view query, std::string_view name)
{
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        const std::string_view pair_name = pair.substr(0, pair.find('='));
        if (!pair.empty() && decodes_to(pair_name, Plus::is_space, name)) {
            return pair.substr(std::min(pair_name.size() + 1, pair.size()));
        }
    }
    return std::nullopt;
}

} // namespace websock
