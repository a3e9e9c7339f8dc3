// packet_test.cpp: a message's bytes, as a server keeps them: what goes in comes out, and what
// somebody else wrote is refused.
#include "redis_connection/packet.h"

#include <doctest/doctest.h>

#include <websock/websock.h>

using namespace websock::redis;

namespace {

Packet example()
{
    Packet packet;
    packet.opcode = WS_OPCODE_TEXT;
    packet.origin = {0x0102030405060708, 9};
    packet.publisher = 77;
    packet.id = "id";
    packet.key = "key";
    packet.payload = "payload";
    return packet;
}

} // namespace

TEST_CASE("a packet comes out as it went in")
{
    const std::string bytes = pack(example());
    const std::optional<Packet> packet = unpack(bytes);
    REQUIRE(packet);
    CHECK(packet->opcode == WS_OPCODE_TEXT);
    CHECK(packet->origin == example().origin);
    CHECK(packet->publisher == 77);
    CHECK(packet->id == "id");
    CHECK(packet->key == "key");
    CHECK(packet->payload == "payload");
    CHECK_FALSE(packet->uncompressed);
    Packet secret = example();
    secret.uncompressed = true;
    const std::string secret_bytes = pack(secret);
    REQUIRE(unpack(secret_bytes));
    CHECK(unpack(secret_bytes)->uncompressed);
    CHECK(unpack(secret_bytes)->opcode == WS_OPCODE_TEXT);
}

TEST_CASE("the origin of a packet can be set later, and stands where scripts look for it")
{
    std::string bytes = pack(example());
    const Origin origin{1, 2};
    set_origin(bytes, origin);
    CHECK(unpack(bytes)->origin == origin);
    const std::array<char, 16> expected = origin_bytes(origin);
    CHECK(bytes.substr(kOriginAt, 16) == std::string(expected.data(), expected.size()));
}

TEST_CASE("a packet that is cut off before its payload is refused")
{
    const std::string bytes = pack(example());
    const size_t before_payload = bytes.size() - example().payload.size();
    for (size_t size = 0; size < before_payload; ++size)
        CHECK_FALSE(unpack(bytes.substr(0, size)));
    CHECK(unpack(bytes.substr(0, before_payload)));
}

TEST_CASE("packets that no node packs are refused")
{
    const std::string good = pack(example());
    const auto with = [&](size_t at, char byte) {
        std::string bytes = good;
        bytes[at] = byte;
        return unpack(bytes).has_value();
    };
    CHECK_FALSE(with(0, 2));              // another version
    CHECK_FALSE(with(1, WS_OPCODE_PING)); // no message
    CHECK_FALSE(with(28, '\0'));          // an id with a NUL
    CHECK_FALSE(with(26, 64));            // an id that is too long
}

TEST_CASE("a live message is an epoch, an offset and a packet")
{
    const std::string bytes = "00000000000000ab00000000000000100packet";
    const std::optional<Live> live = read_live(bytes);
    REQUIRE(live);
    CHECK(live->epoch == 0xab);
    CHECK(live->offset == 0x10);
    CHECK(live->packed == "0packet");
}

TEST_CASE("live messages of others are refused")
{
    CHECK_FALSE(read_live(""));
    CHECK_FALSE(read_live("hello"));
    CHECK_FALSE(read_live("0000000000000000"
                          "0000000000000001")); // no epoch is 0
    CHECK_FALSE(read_live("0000000000000001"
                          "0000000000000000")); // and no offset
    CHECK_FALSE(read_live("0000000000000001"
                          "ffffffffffffffff")); // nor this large
    CHECK_FALSE(read_live("000000000000000A"
                          "0000000000000001"));
    CHECK_FALSE(read_live("-000000000000001"
                          "0000000000000001"));
}

TEST_CASE("numbers in answers are read strictly")
{
    CHECK(epoch_text(0xab) == "00000000000000ab");
    CHECK(read_epoch(epoch_text(UINT64_MAX)) == UINT64_MAX);
    CHECK_FALSE(read_epoch("ab"));
    CHECK(read_decimal("12") == 12);
    for (const char *text : {"", "-1", "+1", " 1", "1 ", "1e3", "99999999999999999999"})
        CHECK_FALSE(read_decimal(text));
    CHECK(read_entry_id("12-1700000000000") == 12);
    for (const char *text : {"12", "-", "12-", "-12", "x-1", "1-x"})
        CHECK_FALSE(read_entry_id(text));
}
