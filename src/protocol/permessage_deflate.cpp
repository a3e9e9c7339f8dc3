// permessage_deflate.cpp: reads offers of permessage-deflate, accepts one and writes the answer.
// Whether an offer follows RFC 6455's grammar was checked in upgrade_request.cpp.
#include "protocol/permessage_deflate.h"

#include "protocol/http_syntax.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace websock {

namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerWindow = "server_max_window_bits";
constexpr std::string_view kClientWindow = "client_max_window_bits";
constexpr int kLargestWindow = 15;

// The parameters of one offer.
struct Offer {
    bool server_no_takeover = false;
    bool client_no_takeover = false;
    bool has_server_window = false;
    bool has_client_window = false;
    int server_window_bits = kLargestWindow;
    int client_window_bits = kLargestWindow;
};

bool is_first(bool &seen) { return !std::exchange(seen, true); }

// RFC 7692 7.1.2: a number from 8 to 15 without leading zeros.
bool read_window_bits(std::string_view value, int &bits)
{
    const std::string text = unquoted(value);
    const char *const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, bits);
    return error == std::errc() && stop == end && text.front() != '0' && bits >= 8 &&
           bits <= kLargestWindow;
}

// false: the whole offer is declined.
bool read_parameter(const ExtensionParameter &parameter, Offer &offer)
{
    const auto &[name, value] = parameter;
    if (name == kServerNoTakeover) {
        return is_first(offer.server_no_takeover) && !value;
    }
    if (name == kClientNoTakeover) {
        return is_first(offer.client_no_takeover) && !value;
    }
    if (name == kServerWindow) {
        return is_first(offer.has_server_window) && value &&
               read_window_bits(*value, offer.server_window_bits);
    }
    if (name == kClientWindow) { // without a value: the client leaves the choice to the server
        return is_first(offer.has_client_window) &&
               (!value || read_window_bits(*value, offer.client_window_bits));
    }
    return false;
}

std::optional<Offer> read_offer(std::string_view text)
{
    const size_t end = text.find(';');
    if (trim(text.substr(0, end)) != kName) {
        return std::nullopt;
    }
    Offer offer;
    if (end == text.npos) {
        return offer;
    }
    const bool declined = any_element(
        text.substr(end + 1),
        [&](std::string_view part) { return !read_parameter(extension_parameter(part), offer); },
        ';');
    return declined ? std::nullopt : std::optional(offer);
}

CompressionParameters accept(const Offer &offer, const CompressionWish &wish)
{
    CompressionParameters agreed;
    agreed.server_window_bits = offer.server_window_bits;
    agreed.answers_server_window = offer.has_server_window;
    if (offer.has_client_window) {
        agreed.client_window_bits = std::min(offer.client_window_bits, wish.client_window_bits);
    }
    agreed.server_context_takeover = wish.keeps_history && !offer.server_no_takeover;
    agreed.client_context_takeover = !offer.client_no_takeover;
    return agreed;
}

void append_parameter(std::string &out, std::string_view name) { out.append("; ").append(name); }

void append_parameter(std::string &out, std::string_view name, int value)
{
    append_parameter(out, name);
    out.append("=").append(std::to_string(value));
}

} // namespace

std::optional<CompressionParameters> negotiate_compression(std::span<const std::string_view> offers,
                                                           const CompressionWish &wish)
{
    for (const std::string_view text : offers) {
        if (const std::optional<Offer> offer = read_offer(text)) {
            return accept(*offer, wish);
        }
    }
    return std::nullopt;
}

std::string compression_answer(const CompressionParameters &agreed)
{
    std::string out(kName);
    if (!agreed.server_context_takeover) {
        append_parameter(out, kServerNoTakeover);
    }
    if (!agreed.client_context_takeover) {
        append_parameter(out, kClientNoTakeover);
    }
    if (agreed.answers_server_window) {
        append_parameter(out, kServerWindow, agreed.server_window_bits);
    }
    // Smaller than the largest only where the offer allows the server to say so.
    if (agreed.client_window_bits < kLargestWindow) {
        append_parameter(out, kClientWindow, agreed.client_window_bits);
    }
    return out;
}

} // namespace websock
