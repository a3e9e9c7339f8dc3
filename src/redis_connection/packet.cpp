// packet.cpp: see packet.h. A packet is a header of fixed length, then id, key and payload:
// version, opcode (and kUncompressed), node (8 bytes, big-endian), sequence (8), publisher (8),
// lengths of id and key.
#include "redis_connection/packet.h"

#include <charconv>
#include <websock/websock.h>

namespace websock::redis {

namespace {

constexpr char kVersion = 1;
constexpr unsigned kUncompressed = 0x80;
constexpr size_t kPublisherAt = kOriginAt + 16;
constexpr size_t kLengthsAt = kPublisherAt + 8;
constexpr size_t kHeader = kLengthsAt + 2;
constexpr size_t kHexDigits = 16;
constexpr uint64_t kMostOffset = uint64_t{1} << 53; // scripts count in doubles

void put(char *to, uint64_t number)
{
    for (int i = 7; i >= 0; --i, number >>= 8)
        to[i] = static_cast<char>(number & 0xff);
}

uint64_t get(const char *from)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; ++i)
        number = number << 8 | static_cast<unsigned char>(from[i]);
    return number;
}

std::optional<uint64_t> read_hex(std::string_view text)
{
    uint64_t number = 0;
    for (const char c : text) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f'))
            return std::nullopt;
        number = number << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return text.size() == kHexDigits ? std::optional(number) : std::nullopt;
}

bool is_name(std::string_view name)
{
    return name.size() <= kMostName && name.find('\0') == std::string_view::npos;
}

} // namespace

std::string pack(const Packet &packet)
{
    std::string bytes;
    bytes.reserve(kHeader + packet.id.size() + packet.key.size() + packet.payload.size());
    bytes.resize(kHeader);
    bytes[0] = kVersion;
    bytes[1] = static_cast<char>(packet.opcode | (packet.uncompressed ? kUncompressed : 0));
    set_origin(bytes, packet.origin);
    put(&bytes[kPublisherAt], packet.publisher);
    bytes[kLengthsAt] = static_cast<char>(packet.id.size());
    bytes[kLengthsAt + 1] = static_cast<char>(packet.key.size());
    bytes.append(packet.id).append(packet.key).append(packet.payload);
    return bytes;
}

void set_origin(std::string &packed, const Origin &origin)
{
    put(&packed[kOriginAt], origin.node);
    put(&packed[kOriginAt + 8], origin.sequence);
}

std::array<char, 16> origin_bytes(const Origin &origin)
{
    std::array<char, 16> bytes;
    put(bytes.data(), origin.node);
    put(bytes.data() + 8, origin.sequence);
    return bytes;
}

std::optional<Packet> unpack(std::string_view bytes)
{
    if (bytes.size() < kHeader || bytes[0] != kVersion)
        return std::nullopt;
    Packet packet;
    const unsigned opcode = static_cast<unsigned char>(bytes[1]);
    packet.opcode = opcode & ~kUncompressed;
    packet.uncompressed = (opcode & kUncompressed) != 0;
    packet.origin = {get(&bytes[kOriginAt]), get(&bytes[kOriginAt + 8])};
    packet.publisher = get(&bytes[kPublisherAt]);
    const size_t id = static_cast<unsigned char>(bytes[kLengthsAt]);
    const size_t key = static_cast<unsigned char>(bytes[kLengthsAt + 1]);
    if (bytes.size() - kHeader < id + key)
        return std::nullopt;
    packet.id = bytes.substr(kHeader, id);
    packet.key = bytes.substr(kHeader + id, key);
    packet.payload = bytes.substr(kHeader + id + key);
    if (!is_name(packet.id) || !is_name(packet.key))
        return std::nullopt;
    const bool is_message = packet.opcode == WS_OPCODE_TEXT || packet.opcode == WS_OPCODE_BINARY;
    return is_message ? std::optional(packet) : std::nullopt;
}

std::optional<Live> read_live(std::string_view bytes)
{
    if (bytes.size() < 2 * kHexDigits)
        return std::nullopt;
    const std::optional<uint64_t> epoch = read_hex(bytes.substr(0, kHexDigits));
    const std::optional<uint64_t> offset = read_hex(bytes.substr(kHexDigits, kHexDigits));
    if (!epoch || *epoch == 0 || !offset || *offset == 0 || *offset > kMostOffset)
        return std::nullopt;
    return Live{*epoch, *offset, bytes.substr(2 * kHexDigits)};
}

std::string epoch_text(uint64_t epoch)
{
    std::string text(kHexDigits, '0');
    for (size_t i = kHexDigits; i-- > 0; epoch >>= 4)
        text[i] = "0123456789abcdef"[epoch & 0xf];
    return text;
}

std::optional<uint64_t> read_epoch(std::string_view text)
{
    const std::optional<uint64_t> epoch = read_hex(text);
    return epoch && *epoch != 0 ? epoch : std::nullopt;
}

std::optional<uint64_t> read_decimal(std::string_view text)
{
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number > kMostOffset)
        return std::nullopt;
    return number;
}

std::optional<uint64_t> read_entry_id(std::string_view text)
{
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos || !read_decimal(text.substr(dash + 1)))
        return std::nullopt;
    return read_decimal(text.substr(0, dash));
}

} // namespace websock::redis
