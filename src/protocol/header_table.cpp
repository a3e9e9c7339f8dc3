// header_table.cpp: see header_table.h.
#include "protocol/header_table.h"

#include "protocol/http_syntax.h"

#include <algorithm>
#include <cstring>

namespace websock {

namespace {

constexpr char kOneLine = '1', kSeveralLines = '+'; // the marks

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(':')); }

std::string_view value_of(std::string_view line) { return trim(line.substr(line.find(':') + 1)); }

// By name; lines of one name in the order they came in.
bool comes_before(std::string_view a, std::string_view b)
{
    const std::string_view x = name_of(a), y = name_of(b);
    const size_t common = std::min(x.size(), y.size());
    for (size_t i = 0; i < common; ++i) {
        if (lower(x[i]) != lower(y[i])) {
            return lower(x[i]) < lower(y[i]);
        }
    }
    return x.size() != y.size() ? x.size() < y.size() : a.data() < b.data();
}

} // namespace

void HeaderTable::build(std::vector<std::string_view> &&lines)
{
    std::sort(lines.begin(), lines.end(), comes_before);
    size_t length = 0;
    for (const std::string_view line : lines) {
        length += line.size() + 2;
    }
    bytes_.reserve(length);
    for (size_t i = 0; i < lines.size();) {
        const std::string_view name = name_of(lines[i]);
        const size_t mark = bytes_.size();
        bytes_.append(1, kOneLine).append(name).append(1, '\0').append(value_of(lines[i]));
        while (++i < lines.size() && equals_ignoring_case(name_of(lines[i]), name)) {
            bytes_[mark] = kSeveralLines;
            bytes_.append(", ").append(value_of(lines[i]));
        }
        bytes_.append(1, '\0');
    }
}

HeaderTable::Header HeaderTable::find(std::string_view name) const
{
    const char *const end = bytes_.data() + bytes_.size();
    for (const char *entry = bytes_.data(); entry < end;) {
        const std::string_view known(entry + 1);
        const char *const value = known.data() + known.size() + 1;
        if (equals_ignoring_case(known, name)) {
            return {value, *entry == kSeveralLines};
        }
        entry = value + std::strlen(value) + 1;
    }
    return {};
}

} // namespace websock
