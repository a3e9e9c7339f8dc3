// header_table.h: the headers of one request by name, in no more memory than they took on
// the wire. What a header line may look like is checked in handshake.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace websock {

// Immutable once built, so any thread may look up a header.
class HeaderTable
{
  public:
    struct Header {
        const char *value = nullptr; // NUL-terminated, lives as long as the table; nullptr: absent
        bool repeated = false;       // value was joined from several lines
    };

    // lines: valid ones, each "name: value" without CR LF. Lines of the same name become one
    // header, joined with ", " in their order. Takes n log n, whatever the names are: a
    // hostile request may have thousands. To be called once. Throws std::bad_alloc.
    void build(std::vector<std::string_view> &&lines);

    // The case of name does not matter.
    Header find(std::string_view name) const;

  private:
    // For each name, sorted: a mark, the name, NUL, the value, NUL. On the wire a line has
    // a colon, CR and LF besides its name and value, so this is never longer.
    std::string bytes_;
};

} // namespace websock
