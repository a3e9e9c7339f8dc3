// header_table.h: the headers of one request: as they came, and by name. What a header line may
// look like is checked in handshake.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace websock {

// Immutable once built, so any thread may look at the headers. Its strings are NUL-terminated and
// live as long as it does.
class HeaderTable
{
  public:
    struct Header {
        const char *value = nullptr; // nullptr: absent
        bool repeated = false;       // value was joined from several lines
    };

    // lines: valid ones, each "name: value" without CR LF. Lines of the same name become one
    // header, joined with ", " in their order. Takes n log n, whatever the names are: a
    // hostile request may have thousands. To be called once. Throws std::bad_alloc.
    void build(std::vector<std::string_view> &&lines);

    // The case of name does not matter.
    Header find(std::string_view name) const;

    // Calls visit(name, value) for each line, in the order they came in, until it returns something
    // else than 0, and returns that.
    template<class Visit> int each(const Visit &visit) const { return each_in(lines_, visit); }

  private:
    // entries: for each a name, NUL, its value, NUL.
    template<class Visit> static int each_in(const std::string &entries, const Visit &visit)
    {
        const char *const end = entries.data() + entries.size();
        for (const char *name = entries.data(); name < end;) {
            const char *const value = behind(name);
            if (const int result = visit(name, value); result != 0)
                return result;
            name = behind(value);
        }
        return 0;
    }
    static const char *behind(const char *text)
    {
        return text + std::char_traits<char>::length(text) + 1;
    }
    static const char *find_in(const std::string &entries, std::string_view name);

    // Entries. On the wire a line has a colon, CR and LF besides its name and value, so each of
    // the two is never longer.
    std::string lines_;  // all of them, in their order
    std::string joined_; // of each name with several lines, sorted
};

} // namespace websock
