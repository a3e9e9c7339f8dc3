// sent_history_test.cpp: what the next message may refer to, when messages leave while it is not
// known yet which of them will. Over real sockets this takes luck to meet.
#include "outbox/sent_history.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using websock::SentHistory;

namespace {

void add(SentHistory &history, std::string_view text)
{
    history.add({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

std::string text_of(const SentHistory &history)
{
    return {history.bytes().begin(), history.bytes().end()};
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("the history is the end of what was sent, and has another version each time")
{
    SentHistory history(5);
    const uint64_t empty = history.version();
    add(history, "abc");
    const uint64_t one = history.version();
    add(history, "def");
    CHECK(text_of(history) == "bcdef");
    CHECK(empty != one);
    CHECK(one != history.version());
}

TEST_CASE("what is sent in a gap refers to nothing before it")
{
    SentHistory history(100);
    add(history, "before");
    const uint64_t before = history.version();
    SentHistory::Gap gap(history);
    CHECK(history.version() != before);
    CHECK(text_of(history).empty());
    add(history, "inside");
    CHECK(text_of(history) == "inside");
}

TEST_CASE("behind a gap in which nothing was sent, the history goes on as before")
{
    SentHistory history(100);
    add(history, "before, ");
    const uint64_t before = history.version();
    SentHistory::Gap gap(history);
    CHECK(gap.close());
    CHECK(history.version() == before);
    add(history, "what has left");
    CHECK(text_of(history) == "before, what has left");
}

TEST_CASE("behind a gap in which something was sent, the history is that alone")
{
    SentHistory history(100);
    add(history, "before");
    const uint64_t before = history.version();
    SentHistory::Gap gap(history);
    add(history, "inside");
    const uint64_t inside = history.version();
    CHECK(!gap.close());
    CHECK(text_of(history) == "inside");
    CHECK(history.version() == inside);
    CHECK(inside != before);
    add(history, ", behind");
    CHECK(text_of(history) == "inside, behind");
}
