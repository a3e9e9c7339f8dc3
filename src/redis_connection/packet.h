// packet.h: the bytes of a message as a server keeps them, and as it sends them to its
// subscribers. Bytes in, bytes out: what others may have written there is checked here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websock::redis {

inline constexpr size_t kMostName = 63; // bytes of an id, and of a key

// Who has published, and which of its publications it is: unique. As it stands in a packet.
struct Origin {
    uint64_t node = 0;
    uint64_t sequence = 0;

    bool operator==(const Origin &) const = default;
};

struct Packet {
    unsigned opcode = 0; // WS_OPCODE_TEXT or WS_OPCODE_BINARY
    bool uncompressed = false;
    Origin origin;
    uint64_t publisher = 0; // a client of that node; 0: none
    std::string_view id;    // empty: none; neither contains a NUL
    std::string_view key;
    std::string_view payload;
};

// A packet as it is sent. The origin is filled in later, when it is known: see set_origin().
// Throws std::bad_alloc.
std::string pack(const Packet &packet);
void set_origin(std::string &packed, const Origin &origin);
// The bytes of the origin in a packet, as a script compares them.
inline constexpr size_t kOriginAt = 2;
std::array<char, 16> origin_bytes(const Origin &origin);

// The views of the result point into bytes. None: that was not written by pack(). Whether text is
// UTF-8 is not looked at.
std::optional<Packet> unpack(std::string_view bytes);

// What is sent to the subscribers of a channel: a script writes the epoch and the offset in
// hexadecimal before the packet.
struct Live {
    uint64_t epoch = 0;
    uint64_t offset = 0;
    std::string_view packed;
};
std::optional<Live> read_live(std::string_view bytes);

// Numbers in scripts' answers: epochs are 16 hexadecimal digits, of which a is not A; an offset is
// decimal, and the id of a log's entry begins with one: "12-1700000000000".
std::string epoch_text(uint64_t epoch);
std::optional<uint64_t> read_epoch(std::string_view text);
std::optional<uint64_t> read_decimal(std::string_view text);
std::optional<uint64_t> read_entry_id(std::string_view text);

} // namespace websock::redis
