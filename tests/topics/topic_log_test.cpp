// topic_log_test.cpp: what a topic keeps, what leaves it, and where cursors stand in it. Who
// reads with them is in topics_test.cpp.
#include "topics/topic_log.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace websock;

namespace {

constexpr TopicLog::Limits kRoomy{.messages = 1000, .bytes = 1 << 20, .age_ms = 0};

std::span<const uint8_t> bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

Ref<Message> message(std::string_view text, std::string_view id = "", std::string_view key = "")
{
    return Message::make({Opcode::text, bytes_of(text), id, key, 0});
}

std::string text_of(const Message &message)
{
    const auto payload = message.payload();
    return std::string(reinterpret_cast<const char *>(payload.data()), payload.size());
}

// All there is at or behind the cursor, which moves.
std::string read_all(const TopicLog &log, uint64_t &cursor)
{
    std::string text;
    log.read(cursor, [&](uint64_t offset, const Ref<Message> &read) {
        text += text_of(*read) + " ";
        cursor = offset + 1;
        return true;
    });
    return text;
}

std::string from(const TopicLog &log, uint64_t cursor) { return read_all(log, cursor); }

void add(TopicLog &log, std::initializer_list<const char *> texts,
         const TopicLog::Limits &limits = kRoomy)
{
    for (const char *text : texts)
        log.append(message(text), limits, 0);
}

} // namespace

TEST_CASE("a message is a whole frame, with its id and key behind it")
{
    const Ref<Message> made = Message::make({Opcode::binary, bytes_of("abc"), "id-7", "EUR", 42});
    CHECK(std::string(reinterpret_cast<const char *>(made->frame(0).data()), made->frame(0).size()) ==
          "\x82\x03"
          "abc");
    CHECK(text_of(*made) == "abc");
    CHECK(made->id() == "id-7");
    CHECK(made->id().data()[4] == '\0');
    CHECK(made->key() == "EUR");
    CHECK(made->key().data()[3] == '\0');
    CHECK(made->publisher() == 42);
    CHECK(made->opcode() == Opcode::binary);
}

TEST_CASE("offsets begin with 1, and a cursor gets everything behind it once, in order")
{
    TopicLog log;
    CHECK(log.end() == 1);
    add(log, {"a", "b", "c", "d", "e"});
    CHECK(log.end() == 6);
    uint64_t cursor = 1;
    CHECK(read_all(log, cursor) == "a b c d e ");
    CHECK(cursor == 6);
    CHECK(read_all(log, cursor) == "");
    add(log, {"f"});
    CHECK(read_all(log, cursor) == "f ");
    CHECK(from(log, 4) == "d e f ");
}

TEST_CASE("what is more than the limits allow leaves, the oldest first")
{
    TopicLog log;
    add(log, {"a", "b", "c", "d"}, {.messages = 2, .bytes = 1 << 20, .age_ms = 0});
    CHECK(from(log, 1) == "c d ");
    CHECK(log.messages() == 2);

    TopicLog small;
    const size_t each = [] {
        TopicLog one;
        one.append(message("x"), kRoomy, 0);
        return one.bytes();
    }();
    add(small, {"a", "b", "c", "d"}, {.messages = 100, .bytes = 3 * each, .age_ms = 0});
    CHECK(from(small, 1) == "b c d ");
    CHECK(small.bytes() == 3 * each);
}

TEST_CASE("the newest message stays, however large it is")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 10, .bytes = 100, .age_ms = 0};
    log.append(message("small"), limits, 0);
    log.append(message(std::string(1000, 'x')), limits, 0);
    CHECK(log.messages() == 1);
    CHECK(from(log, 1).size() == 1001);
}

TEST_CASE("messages leave when they are too old")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 10, .bytes = 1 << 20, .age_ms = 50};
    log.append(message("a"), limits, 0);
    log.append(message("b"), limits, 40);
    log.append(message("c"), limits, 60);
    CHECK(from(log, 1) == "b c ");
    log.expire(limits, 111);
    CHECK(log.empty());
    CHECK(log.bytes() == 0);
    CHECK(log.end() == 4);
}

TEST_CASE("a message with a key replaces the one with that key for whoever has not got it")
{
    TopicLog log;
    CHECK_FALSE(log.append(message("eur1", "", "EUR"), kRoomy, 0));
    CHECK_FALSE(log.append(message("usd1", "", "USD"), kRoomy, 0));
    uint64_t fast = 1;
    CHECK(read_all(log, fast) == "eur1 usd1 ");
    CHECK(log.append(message("eur2", "", "EUR"), kRoomy, 0));
    CHECK(log.append(message("eur3", "", "EUR"), kRoomy, 0));
    CHECK(read_all(log, fast) == "eur3 ");
    CHECK(from(log, 1) == "usd1 eur3 ");
    CHECK(log.messages() == 2);
    CHECK(log.missed(1) == 0);
}

TEST_CASE("replacing for ever takes no more memory than the keys")
{
    TopicLog log;
    for (int i = 0; i < 100'000; ++i)
        log.append(message("price", "", "K" + std::to_string(i % 10)), kRoomy, 0);
    CHECK(log.messages() == 10);
    CHECK(log.end() == 100'001);
    CHECK(from(log, 1) == "price price price price price price price price price price ");
}

TEST_CASE("a cursor that fell out of the log is told how many messages it has missed")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 3, .bytes = 1 << 20, .age_ms = 0};
    add(log, {"a", "b", "c"}, limits);
    CHECK(log.missed(1) == 0);
    add(log, {"d", "e"}, limits);
    CHECK(log.missed(1) == 2);
    CHECK(log.missed(2) == 1);
    CHECK(log.missed(3) == 0);
}

TEST_CASE("what was replaced does not count as missed")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 3, .bytes = 1 << 20, .age_ms = 0};
    log.append(message("a"), limits, 0);
    log.append(message("k1", "", "K"), limits, 0);
    log.append(message("b"), limits, 0);
    log.append(message("k2", "", "K"), limits, 0); // replaces the second
    log.append(message("c"), limits, 0);           // a leaves
    log.append(message("d"), limits, 0);           // b leaves
    CHECK(from(log, 1) == "k2 c d ");
    CHECK(log.missed(1) == 2);
    CHECK(log.missed(2) == 1);
    CHECK(log.missed(4) == 0);
}

TEST_CASE("what is missing counts where it should have been, and once")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 3, .bytes = SIZE_MAX, .age_ms = 0};
    add(log, {"1", "2"}, limits);
    log.lose(4); // 3 to 6
    add(log, {"7"}, limits);
    CHECK(log.missed(1) == 0);
    CHECK(from(log, 1) == "1 2 ");
    CHECK(log.missed(3) == 4);
    CHECK(from(log, 3) == "7 ");
    CHECK(log.missed(7) == 0);
    CHECK(log.before_last(3) == 7);
    add(log, {"8", "9", "10"}, limits); // 1, 2 and 7 leave
    CHECK(log.missed(1) == 7);
    CHECK(log.missed(5) == 3);
    CHECK(from(log, 1) == "8 9 10 ");
}

TEST_CASE("a message from before others that are missing is no place to go on from")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 9, .bytes = SIZE_MAX, .age_ms = 0};
    log.append(message("1", "one"), limits, 0);
    CHECK(log.behind("one") == 2);
    log.lose(1);
    CHECK_FALSE(log.behind("one"));
}

TEST_CASE("many that are missing in many places are never too few")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 100, .bytes = SIZE_MAX, .age_ms = 0};
    for (int i = 0; i < 50; ++i) {
        log.append(message("x"), limits, 0);
        log.lose(1);
    }
    for (int i = 0; i < 20; ++i)
        log.evict_oldest();
    CHECK(log.missed(1) >= 39); // 20 that were evicted, and what is missing between them
    CHECK(log.missed(log.end()) == 0);
}

TEST_CASE("whoever reads past many places where some are missing is told of each of them")
{
    constexpr uint64_t kPlaces = 50;
    TopicLog log;
    const TopicLog::Limits limits{.messages = 100, .bytes = SIZE_MAX, .age_ms = 0};
    for (uint64_t i = 0; i < kPlaces; ++i) {
        log.append(message("x"), limits, 0);
        log.append(message("x"), limits, 0);
        log.lose(1);
    }
    uint64_t told = 0;
    uint64_t read = 0;
    for (uint64_t cursor = 1; cursor < log.end();) {
        told += log.missed(cursor);
        uint64_t next = log.end();
        log.read(cursor, [&](uint64_t offset, const Ref<Message> &) {
            next = offset + 1;
            return ++read > 0;
        });
        cursor = next;
    }
    CHECK(read == 2 * kPlaces);
    CHECK(told == kPlaces);
}

TEST_CASE("what leaves from between others that are missing counts once")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 100, .bytes = SIZE_MAX, .age_ms = 0};
    for (int i = 0; i < 20; ++i) {
        log.append(message("x"), limits, 0);
        log.lose(1);
    }
    for (int i = 0; i < 5; ++i)
        log.evict_oldest();
    CHECK(log.missed(1) == 10);
}

TEST_CASE("when many keys were replaced, missed messages are never too few")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 2, .bytes = 1 << 20, .age_ms = 0};
    for (int i = 0; i < 100; ++i) {
        log.append(message("plain"), limits, 0);
        log.append(message("k", "", "K"), limits, 0);
        log.append(message("k", "", "K"), limits, 0);
    }
    CHECK(log.missed(1) >= 99);
    CHECK(log.missed(log.end()) == 0);
}

TEST_CASE("newcomers begin before the last so many messages")
{
    TopicLog log;
    CHECK(log.before_last(5) == 1);
    add(log, {"a", "b", "c"});
    log.append(message("k1", "", "K"), kRoomy, 0);
    add(log, {"d"});
    log.append(message("k2", "", "K"), kRoomy, 0);
    CHECK(from(log, log.before_last(0)) == "");
    CHECK(from(log, log.before_last(1)) == "k2 ");
    CHECK(from(log, log.before_last(3)) == "c d k2 ");
    CHECK(from(log, log.before_last(100)) == "a b c d k2 ");
}

TEST_CASE("a cursor stands behind the message with an id, as long as that is in the log")
{
    TopicLog log;
    const TopicLog::Limits limits{.messages = 3, .bytes = 1 << 20, .age_ms = 0};
    log.append(message("a", "1"), limits, 0);
    log.append(message("b", "2"), limits, 0);
    log.append(message("c", "3"), limits, 0);
    REQUIRE(log.behind("2"));
    CHECK(from(log, *log.behind("2")) == "c ");
    CHECK(*log.behind("3") == log.end());
    CHECK_FALSE(log.behind("4"));
    log.append(message("d", "4"), limits, 0);
    CHECK_FALSE(log.behind("1"));
    log.append(message("e", "2"), limits, 0); // the same id again: the newest counts
    CHECK(*log.behind("2") == log.end());
    log.append(message("f"), limits, 0);
    CHECK(from(log, *log.behind("2")) == "f ");
}
