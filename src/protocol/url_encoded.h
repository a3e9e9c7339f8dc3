// url_encoded.h: percent-encoding (RFC 3986 2.1), and queries that are encoded as forms are
// (application/x-www-form-urlencoded, of the URL Standard). Pure: nothing is allocated. Where a
// query comes from is in handshake.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace websock {

enum class Plus { is_plus, is_space }; // what '+' stands for

// The bytes that an encoded text stands for, one after the other. A '%' without two hexadecimal
// digits behind it stands for itself.
class PercentDecoder
{
  public:
    PercentDecoder(std::string_view encoded, Plus plus) : rest_(encoded), plus_(plus) {}

    bool next(char &byte); // false: there are no more

  private:
    std::string_view rest_;
    const Plus plus_;
};

bool decodes_to(std::string_view encoded, Plus plus, std::string_view plain);

// Writes what encoded stands for into the size bytes of out, with a NUL behind it. 0, or an errno
// value: EINVAL it has a NUL itself, or size is 0; ERANGE it does not fit. Then out is "".
int decode_into(std::string_view encoded, Plus plus, char *out, size_t size);

// The value, still encoded, of the first parameter with this name, which is not encoded. Empty
// pairs, as in "a&&b", are none; "a" is short for "a=".
std::optional<std::string_view> find_query_parameter(std::string_view query, std::string_view name);

} // namespace websock
