// header_table_test.cpp: the headers of a request, line by line in their order. What they are by
// name is in handshake_test.cpp.
#include "protocol/header_table.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace websock;

namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

Lines lines_of(const HeaderTable &table)
{
    Lines lines;
    CHECK(table.each([&](const char *name, const char *value) {
        lines.emplace_back(name, value);
        return 0;
    }) == 0);
    return lines;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("lines come in their order, names as they were sent, repeated ones one by one")
{
    HeaderTable table;
    table.build({"Zebra: 1", "a:  x \t", "Host:h", "A:y", "zEBRA: 2", "Empty:", "a: x", "B: c:d"});
    CHECK(lines_of(table) == Lines{{"Zebra", "1"},
                                   {"a", "x"},
                                   {"Host", "h"},
                                   {"A", "y"},
                                   {"zEBRA", "2"},
                                   {"Empty", ""},
                                   {"a", "x"},
                                   {"B", "c:d"}});
    CHECK(table.find("zebra").value == std::string("1, 2"));
    CHECK(table.find("zebra").repeated);
    CHECK(table.find("A").value == std::string("x, y, x"));
    CHECK(table.find("b").value == std::string("c:d"));
    CHECK_FALSE(table.find("b").repeated);
    CHECK(table.find("c").value == nullptr);
}

TEST_CASE("the walk ends where it is told to, and says what it was told")
{
    HeaderTable table;
    table.build({"A: 1", "B: 2", "C: 3"});
    int calls = 0;
    CHECK(table.each([&](const char *, const char *) { return ++calls == 2 ? -7 : 0; }) == -7);
    CHECK(calls == 2);
    const HeaderTable empty;
    CHECK(lines_of(empty).empty());
}
