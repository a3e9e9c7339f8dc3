// header_table.h: the headers of one request by name, in no more memory than they took on
// the wire. What a header line may look like is handshake.cpp's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace websock {

// Immutable once built, so any thread may look something up.
class HeaderTable
{
  public:
    struct Header {
        const char *value = nullptr; // NUL-terminated, lives as long as the table; nullptr: absent
        bool repeated = false;       // value is of several lines
    };

    // lines: "name: value" each, valid, without their ends. Several of one name become one
    // header, joined with ", " in their order. In n log n, whatever the names: a hostile
    // request may have thousands. To be called once; throws std::bad_alloc.
    void build(std::vector<std::string_view> &&lines);

    // name: in any case.
    Header find(std::string_view name) const;

  private:
    // For each name, sorted: a mark, the name, NUL, the value, NUL. A line has a colon, CR and
    // LF besides name and value, so this is never longer.
    std::string bytes_;
};

} // namespace websock
