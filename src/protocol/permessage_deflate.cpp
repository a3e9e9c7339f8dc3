// permessage_deflate.cpp: reads offers of permessage-deflate, accepts one and writes the answer.
// Whether an offer follows RFC 6455's grammar was checked in upgrade_request.cpp.
#include "protocol/permessage_deflate.h"

#include "protocol/http_syntax.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace websock {

namespace {

// RFC 6455 9.1: "Any extension-token used MUST be a registered token (see Section 11.4)."
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

// RFC 7692 7.1.2.1: "This parameter has a decimal integer value ... MUST conform to ..."
// RFC 7692 7.1.2.2: "If a value is specified for this parameter, the value MUST conform ..."
bool read_window_bits(std::string_view value, int &bits)
{
    const std::string text = unquoted(value);
    const char *const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, bits);
    return error == std::errc() && stop == end && text.front() != '0' && bits >= 8 &&
           bits <= kLargestWindow;
}

// false: the whole offer is declined.
// RFC 7692 7: "A server MUST decline an extension negotiation offer for this extension if ..."
// RFC 6455 9.1: "The parameters supplied with any given extension MUST be defined for ..."
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

// RFC 7692 5: "... constraints on the server's behavior that must be satisfied if the server ..."
// RFC 7692 5: "The element MUST represent a PMCE that is fully supported by the server."
// RFC 6455 9: "... those parameters MUST be chosen in accordance with the specification ..."
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

// RFC 6455 5.8: "The endpoints of a connection MUST negotiate the use of any extensions during ..."
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

// RFC 7692 5: "To accept the use of an offered PMCE, a server MUST include the extension name ..."
// RFC 7692 5: ""Agreed parameters" must represent how the requests and hints in the client's ..."
std::string compression_answer(const CompressionParameters &agreed)
{
    std::string out(kName);
    if (!agreed.server_context_takeover) {
        append_parameter(out, kServerNoTakeover);
    }
    if (!agreed.client_context_takeover) {
        append_parameter(out, kClientNoTakeover);
    }
    // RFC 7692 7.1.2.1: "The "server_max_window_bits" extension parameter ... MUST conform ..."
    if (agreed.answers_server_window) {
        append_parameter(out, kServerWindow, agreed.server_window_bits);
    }
    // Smaller than the largest only where the offer allows the server to say so.
    // RFC 7692 5: "... the server must use the "agreed parameters" ... to explicitly ask ..."
    // RFC 7692 7.1.2.2: "The "client_max_window_bits" extension parameter ... MUST conform ..."
    // RFC 7692 7.1.2.2: "... response to the offer MUST NOT include the ... parameter."
    // RFC 7692 7.1.3: "... the server must not accept the offer with ..."
    if (agreed.client_window_bits < kLargestWindow) {
        append_parameter(out, kClientWindow, agreed.client_window_bits);
    }
    return out;
}

} // namespace websock
