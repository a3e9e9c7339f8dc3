// redis_packet.cpp: fuzz target: what a server sends of a message, against what a node would have
// sent.
//
// Input: a live message: an epoch and an offset in hexadecimal, and a packet.
#include "target.h"

#include "redis_connection/packet.h"

#include <string>

using namespace websock::redis;
using namespace fuzz;

namespace {

void check_packet(std::string_view bytes)
{
    const std::optional<Packet> packet = unpack(bytes);
    if (!packet)
        return;
    require(packet->id.size() <= kMostName && packet->key.size() <= kMostName,
            "a name is longer than the API allows");
    require(packet->id.find('\0') == std::string_view::npos &&
                packet->key.find('\0') == std::string_view::npos,
            "a name contains a NUL");
    std::string again = pack(*packet);
    require(again == bytes, "a packet is not the one that would have been packed");
    set_origin(again, {1, 2});
    require(unpack(again)->origin == Origin{1, 2}, "the origin is not where it was set");
    require(unpack(again)->payload == packet->payload, "the origin has changed the payload");
}

void check_live(std::string_view bytes)
{
    const std::optional<Live> live = read_live(bytes);
    if (!live)
        return;
    require(live->epoch != 0 && live->offset != 0, "what no log has is accepted");
    require(bytes.starts_with(epoch_text(live->epoch)), "the epoch is another one");
    require(bytes.substr(16, 16) == epoch_text(live->offset), "the offset is another one");
    require(read_epoch(epoch_text(live->epoch)) == live->epoch, "an epoch cannot be read again");
    check_packet(live->packed);
}

void check_numbers(std::string_view bytes)
{
    if (const std::optional<uint64_t> number = read_decimal(bytes))
        require(bytes.find_first_not_of("0123456789") == std::string_view::npos,
                "a number is not one");
    if (const std::optional<uint64_t> offset = read_entry_id(bytes))
        require(read_decimal(bytes.substr(0, bytes.find('-'))) == offset, "an id is another one");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Exact whole({data, size});
    const std::string_view bytes(reinterpret_cast<const char *>(whole.span().data()), size);
    check_live(bytes);
    check_packet(bytes);
    check_numbers(bytes);
    return 0;
}
