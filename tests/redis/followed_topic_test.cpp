// followed_topic_test.cpp: what a topic does with live messages and answers, one after the other,
// and what it asks for: also what seldom happens with a server, such as a refresh at the wrong
// moment.
#include "redis/followed_topic.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

using namespace websock::redis;

namespace {

constexpr uint64_t kEpoch = 0xe1;

class Host final : public TopicHost
{
  public:
    int deliver(const libwebsock_delivery &what, unsigned long long &next) override
    {
        if (error != 0) {
            next = next_on_error;
            return std::exchange(error, 0);
        }
        if (what.publication)
            got += std::string(static_cast<const char *>(what.publication->payload),
                               what.publication->payload_len);
        else
            got += "|";
        got += std::to_string(what.offset);
        if (what.follows != 0)
            got += "<" + std::to_string(what.follows);
        got += " ";
        next = what.offset + 1;
        return 0;
    }
    void fetch(Fetch fetch) override { fetches.push_back(std::move(fetch)); }
    void ignore(const std::string &) override { ++ignored; }
    Counters &counters() override { return counters_; }

    std::string take_got() { return std::exchange(got, ""); }

    int error = 0; // of the next delivery
    unsigned long long next_on_error = 0;
    std::string got;
    std::vector<Fetch> fetches;
    int ignored = 0;

  private:
    Counters counters_;
};

std::string packet(const std::string &text)
{
    Packet packet;
    packet.opcode = WS_OPCODE_BINARY;
    packet.payload = text;
    packet.origin = {1, 2};
    return pack(packet);
}

// The answer of the script of fetches: offsets of the messages, whose text is "m".
struct FreeReply {
    void operator()(redisReply *reply) const { freeReplyObject(reply); }
};
std::unique_ptr<redisReply, FreeReply> page(uint64_t epoch, int end, int trimmed,
                                            const std::vector<int> &offsets, bool more = false)
{
    const auto bulk = [](const std::string &text) {
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    };
    std::string bytes = "*" + std::to_string(4 + 2 * offsets.size()) + "\r\n";
    bytes += bulk(epoch_text(epoch)) + bulk(std::to_string(end)) + bulk(std::to_string(trimmed));
    bytes += more ? ":1\r\n" : ":0\r\n";
    for (const int offset : offsets)
        bytes += bulk(std::to_string(offset) + "-1") + bulk(packet("m"));
    redisReader *const reader = redisReaderCreate();
    redisReaderFeed(reader, bytes.data(), bytes.size());
    void *reply = nullptr;
    redisReaderGetReply(reader, &reply);
    redisReaderFree(reader);
    return std::unique_ptr<redisReply, FreeReply>(static_cast<redisReply *>(reply));
}

struct Case {
    Host host;
    FollowedTopic topic{"news", 1, Limits()};

    void live(uint64_t offset, uint64_t epoch = kEpoch)
    {
        topic.live(host, epoch_text(epoch) + epoch_text(offset) + packet("m"));
    }
    void answer(int end, int trimmed, const std::vector<int> &offsets, bool more = false,
                uint64_t epoch = kEpoch)
    {
        topic.answered(host, page(epoch, end, trimmed, offsets, more).get());
    }
    // With a log of so many messages.
    void load(int end)
    {
        std::vector<int> offsets;
        for (int i = 1; i <= end; ++i)
            offsets.push_back(i);
        topic.subscribed(host);
        answer(end, 0, offsets);
        host.got.clear();
        host.fetches.clear();
    }
};

} // namespace

TEST_CASE("a topic asks for its log when it is subscribed to, and ends the log")
{
    Case c;
    CHECK(c.host.fetches.empty());
    c.topic.subscribed(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    CHECK(c.host.fetches[0].epoch == 0);
    c.answer(9, 4, {5, 7, 9});
    CHECK(c.host.take_got() == "m5 m7<5 m9<7 |9 ");
    c.live(10);
    CHECK(c.host.take_got() == "m10 ");
}

TEST_CASE("to catch up, a topic asks what there is by now, and ends with an end in any case")
{
    Case c;
    c.load(2);
    c.topic.catch_up(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    c.live(4); // on its way when 3 was not yet
    c.answer(3, 0, {3});
    CHECK(c.host.take_got() == "m3 |3 m4 ");
    c.topic.catch_up(c.host);
    c.answer(4, 0, {});
    CHECK(c.host.take_got() == "|4 ");
    c.live(5);
    CHECK(c.host.take_got() == "m5 ");
}

TEST_CASE("an answer that was asked for before does not count as caught up")
{
    Case c;
    c.load(2);
    c.live(4); // 3 is missing
    REQUIRE(c.host.fetches.size() == 1);
    c.topic.catch_up(c.host);
    c.answer(2, 0, {});
    REQUIRE(c.host.fetches.size() == 2);
    CHECK(c.host.take_got() == "");
    c.answer(4, 0, {3, 4});
    CHECK(c.host.take_got() == "m3 m4 |4 ");
}

TEST_CASE("a topic that is not connected catches up when it is")
{
    Case c;
    c.load(2);
    c.topic.disconnected(c.host);
    c.topic.catch_up(c.host);
    CHECK(c.host.fetches.empty());
    c.topic.subscribed(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    c.answer(2, 0, {});
    CHECK(c.host.take_got() == "|2 ");
}

TEST_CASE("live messages wait until the log is there")
{
    Case c;
    c.topic.subscribed(c.host);
    c.live(3);
    c.live(4);
    CHECK(c.host.got.empty());
    c.answer(3, 0, {1, 2, 3});
    CHECK(c.host.take_got() == "m1 m2 m3 |3 m4 ");
    CHECK(c.host.held_bytes == 0);
}

TEST_CASE("a log of several pages has one end")
{
    Case c;
    c.topic.subscribed(c.host);
    c.answer(4, 0, {1, 2}, true);
    REQUIRE(c.host.fetches.size() == 2);
    CHECK(c.host.fetches[1].last == 2);
    CHECK(c.host.fetches[1].has_origin);
    c.answer(4, 0, {3, 4});
    CHECK(c.host.take_got() == "m1 m2 m3 m4 |4 ");
}

TEST_CASE("a gap is filled before what comes after it")
{
    Case c;
    c.load(3);
    c.live(6);
    REQUIRE(c.host.fetches.size() == 1);
    CHECK(c.host.fetches[0].last == 3);
    c.live(7);
    c.live(8);
    CHECK(c.host.got.empty());
    c.answer(7, 0, {4, 6, 7});
    CHECK(c.host.take_got() == "m4 m6<4 m7 m8 ");
    CHECK(c.host.counters().gaps_filled == 1);
}

TEST_CASE("of a gap, what has left the log is lost")
{
    Case c;
    c.load(3);
    c.live(9);
    c.answer(9, 6, {7, 8, 9});
    CHECK(c.host.take_got() == "|6 m7 m8 m9 ");
}

TEST_CASE("another epoch begins anew")
{
    Case c;
    c.load(3);
    c.live(2, kEpoch + 1);
    REQUIRE(c.host.fetches.size() == 1);
    c.answer(2, 0, {1, 2}, false, kEpoch + 1);
    CHECK(c.host.take_got() == "m1 m2 |2 ");
    CHECK(c.host.counters().lost_logs == 1);
    c.live(4); // of the lost log, and on its way still: asks once more, and is dropped
    REQUIRE(c.host.fetches.size() == 2);
    c.answer(2, 0, {}, false, kEpoch + 1);
    CHECK(c.host.take_got() == "");
    CHECK(c.host.fetches.size() == 2);
}

TEST_CASE("after a new subscription a topic asks for what it has missed")
{
    Case c;
    c.load(3);
    c.topic.disconnected(c.host);
    c.topic.subscribed(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    c.answer(3, 0, {});
    CHECK(c.host.take_got() == "");
    c.live(4);
    CHECK(c.host.take_got() == "m4 ");
}

TEST_CASE("an answer from before a new subscription does not count as the newest")
{
    Case c;
    c.topic.subscribed(c.host);
    c.topic.disconnected(c.host);
    c.topic.subscribed(c.host);
    CHECK(c.host.fetches.size() == 1);
    c.answer(3, 0, {1, 2, 3});
    REQUIRE(c.host.fetches.size() == 2);
    c.answer(5, 0, {4, 5});
    CHECK(c.host.take_got() == "m1 m2 m3 |3 m4 m5 ");
}

TEST_CASE("a refresh does not hold up what is live, nor overtake it")
{
    Case c;
    c.load(3);
    c.topic.tick(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    c.live(4);
    CHECK(c.host.take_got() == "m4 ");
    c.answer(7, 6, {7}); // 5 to 7 are on their way
    CHECK(c.host.take_got() == "");
    c.live(5);
    CHECK(c.host.take_got() == "m5 ");
    CHECK(c.host.fetches.size() == 1);
}

TEST_CASE("a gap during a refresh is filled by an answer that is not too old")
{
    Case c;
    c.load(3);
    c.topic.tick(c.host);
    c.live(6);
    CHECK(c.host.fetches.size() == 1);
    c.answer(4, 0, {4}); // from before 6
    REQUIRE(c.host.fetches.size() == 2);
    c.answer(6, 0, {5, 6});
    CHECK(c.host.take_got() == "m4 m5 m6 ");
}

TEST_CASE("a refresh finds out that the log was lost")
{
    Case c;
    c.load(3);
    c.topic.tick(c.host);
    c.answer(0, 0, {}, false, kEpoch + 1);
    REQUIRE(c.host.fetches.size() == 2);
    c.answer(1, 0, {1}, false, kEpoch + 1);
    CHECK(c.host.take_got() == "m1 |1 ");
}

TEST_CASE("what a context refuses for now is asked for again, when it is due")
{
    Case c;
    c.load(3);
    c.host.error = ENOMEM;
    c.live(4);
    CHECK(c.host.fetches.empty());
    CHECK(c.topic.due() != websock::kNever);
    c.live(5);
    c.topic.tick(c.host);
    REQUIRE(c.host.fetches.size() == 1);
    c.answer(5, 0, {4, 5});
    CHECK(c.host.take_got() == "m4 m5 ");
}

TEST_CASE("a context that has less than the topic thinks gets the rest")
{
    Case c;
    c.load(3);
    c.host.error = ERANGE;
    c.host.next_on_error = 2;
    c.live(4);
    REQUIRE(c.host.fetches.size() == 1);
    CHECK(c.host.fetches[0].last == 1);
}

TEST_CASE("a topic that a context does not want is given up")
{
    Case c;
    c.load(3);
    c.host.error = ENOENT;
    c.live(4);
    CHECK(c.topic.is_gone());
    CHECK(c.host.fetches.empty());
}

TEST_CASE("a refused fetch is made again, when it is due")
{
    Case c;
    c.topic.subscribed(c.host);
    c.topic.answered(c.host, nullptr);
    CHECK(c.host.fetches.size() == 1);
    CHECK(c.topic.due() != websock::kNever);
    c.topic.tick(c.host);
    CHECK(c.host.fetches.size() == 2);
    c.answer(0, 0, {});
    CHECK(c.host.take_got() == "|0 ");
}

TEST_CASE("answers that are none of the script's are ignored")
{
    Case c;
    c.topic.subscribed(c.host);
    redisReply strange{};
    strange.type = REDIS_REPLY_INTEGER;
    c.topic.answered(c.host, &strange);
    CHECK(c.host.ignored == 1);
    CHECK(c.host.got.empty());
}

TEST_CASE("too much that is live while the log is read is fetched instead")
{
    Case c;
    c.topic.subscribed(c.host);
    const std::string large(1 << 20, 'x');
    for (uint64_t i = 1; i <= 6; ++i)
        c.topic.live(c.host, epoch_text(kEpoch) + epoch_text(i) + packet(large));
    CHECK(c.host.held_bytes <= 4 << 20);
    c.answer(0, 0, {});
    REQUIRE(c.host.fetches.size() == 2);
    CHECK(c.host.held_bytes == 0);
    c.host.got.clear();
    c.answer(6, 0, {4, 5, 6});
    CHECK(c.host.take_got() == "m4 m5 m6 ");
}
