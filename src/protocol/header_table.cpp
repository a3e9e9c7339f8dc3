// header_table.cpp: see header_table.h.
#include "protocol/header_table.h"

#include "protocol/http_syntax.h"

#include <algorithm>

namespace websock {

namespace {

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

bool have_one_name(std::string_view a, std::string_view b)
{
    return equals_ignoring_case(name_of(a), name_of(b));
}

} // namespace

void HeaderTable::build(std::vector<std::string_view> &&lines)
{
    size_t length = 0;
    for (const std::string_view line : lines) {
        length += line.size() + 1;
    }
    lines_.reserve(length);
    for (const std::string_view line : lines) {
        lines_.append(name_of(line)).append(1, '\0').append(value_of(line)).append(1, '\0');
    }
    std::sort(lines.begin(), lines.end(), comes_before);
    for (size_t i = 0; i + 1 < lines.size(); ++i) {
        if (!have_one_name(lines[i], lines[i + 1])) {
            continue;
        }
        joined_.append(name_of(lines[i])).append(1, '\0').append(value_of(lines[i]));
        while (i + 1 < lines.size() && have_one_name(lines[i], lines[i + 1])) {
            joined_.append(", ").append(value_of(lines[++i]));
        }
        joined_.append(1, '\0');
    }
    joined_.shrink_to_fit();
}

HeaderTable::Header HeaderTable::find(std::string_view name) const
{
    if (const char *value = find_in(joined_, name)) {
        return {value, true};
    }
    return {find_in(lines_, name), false};
}

const char *HeaderTable::find_in(const std::string &entries, std::string_view name)
{
    const char *found = nullptr;
    (void)each_in(entries, [&](const char *known, const char *value) {
        found = equals_ignoring_case(known, name) ? value : nullptr;
        return found ? 1 : 0;
    });
    return found;
}

} // namespace websock
