// permessage_deflate.h: negotiation of permessage-deflate, RFC 7692 sections 5 and 7.1: which of
// a client's offers is accepted, and how it is answered. Pure. The compression itself is not here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace websock {

// What both sides keep to.
struct CompressionParameters {
    int server_window_bits = 15; // of what the server sends: 8 to 15
    int client_window_bits = 15; // of what the client sends
    bool server_context_takeover = true;
    bool client_context_takeover = true;
    bool answers_server_window = false; // the offer set server_window_bits: so must the answer

    bool operator==(const CompressionParameters &) const = default;
};

// The server's settings, as far as they count here.
struct CompressionWish {
    int client_window_bits = 12; // the largest asked of clients that let the server choose: 8 to 15
    bool keeps_history = true;   // false: the server sends without context takeover, even unasked
};

// What follows from the first acceptable offer, or nothing. offers: as Request::extension_offers()
// has them; other extensions are passed over. Throws std::bad_alloc.
std::optional<CompressionParameters> negotiate_compression(std::span<const std::string_view> offers,
                                                           const CompressionWish &wish);

// The value of Sec-WebSocket-Extensions that accepts. Throws std::bad_alloc.
std::string compression_answer(const CompressionParameters &agreed);

} // namespace websock
