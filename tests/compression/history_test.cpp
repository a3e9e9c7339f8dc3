// history_test.cpp: what a connection keeps of its messages.
#include "compression/history.h"
#include "tests/compression/zlib_peer.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace websock;
using namespace test;

namespace {

std::string text_of(const History &history)
{
    return {history.bytes().begin(), history.bytes().end()};
}

std::string end_of(const std::string &text, size_t most)
{
    return text.substr(text.size() - std::min(text.size(), most));
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a history is the end of all that was appended")
{
    std::mt19937 random(1);
    for (const size_t most : {1u, 2u, 100u, 2048u, 32768u}) {
        CAPTURE(most);
        History history(most);
        std::string all;
        for (int i = 0; i < 300; ++i) {
            const std::string added(random() % (i % 10 == 0 ? 3 * most : 200), char('a' + i % 26));
            history.append(bytes_of(added));
            all += added;
            REQUIRE(text_of(history) == end_of(all, most));
        }
    }
}

TEST_CASE("a history holds no more memory than it may keep, nor much more than it keeps")
{
    History history(10000);
    CHECK(history.memory() == 0);
    for (int i = 0; i < 300; ++i) {
        history.append(bytes_of(std::string(99, 'x')));
        CHECK(history.memory() >= history.bytes().size());
        CHECK(history.memory() <= std::max<size_t>(128, 2 * history.bytes().size()));
        CHECK(history.memory() <= 10000);
    }
    history.clear();
    CHECK(history.memory() == 0);
    CHECK(history.bytes().empty());
    history.append(bytes_of("again"));
    CHECK(text_of(history) == "again");
}

TEST_CASE("a history that may keep nothing stays empty")
{
    History history(0);
    history.append(bytes_of("abc"));
    CHECK(history.bytes().empty());
    CHECK(history.memory() == 0);
}

TEST_CASE("a history is never longer than a window of DEFLATE")
{
    History history(1000000);
    history.append(bytes_of(std::string(50000, 'x')));
    CHECK(history.bytes().size() == 32768);
}

TEST_SUITE_END();
