// negotiation.cpp: fuzz target: what is agreed on from a client's offers of permessage-deflate,
// and the answer. Both must be what a plain reading of the offers gives, and a strict client
// must read the same in the answer.
//
// Input: a byte of wishes, the value of Sec-WebSocket-Extensions.
#include "http.h"

#include "protocol/handshake.h"
#include "protocol/permessage_deflate.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

using namespace websock;
using namespace fuzz;

namespace {

using Agreed = std::optional<CompressionParameters>;

std::vector<std::string> split(const std::string &text, char separator)
{
    std::vector<std::string> parts(1);
    for (char c : text) {
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

// 0 if it is no size of a window.
int window_bits(const std::string &value)
{
    for (int bits = 8; bits <= 15; ++bits) {
        if (value == std::to_string(bits))
            return bits;
    }
    return 0;
}

struct Element {
    std::set<std::string> names;
    int server_window_bits = 15;
    int client_window_bits = 15;
    bool valid = true;

    bool has(const std::string &name) const { return names.count(name) != 0; }
};

// "name; a; b=1" without white space, quotes and escapes.
Element read_element(const std::string &text, bool is_offer)
{
    Element element;
    const std::vector<std::string> parts = split(text, ';');
    element.valid = parts[0] == "permessage-deflate";
    for (size_t i = 1; i < parts.size(); ++i) {
        const size_t equals = parts[i].find('=');
        const std::string name = parts[i].substr(0, equals);
        const std::string value = equals == name.npos ? "" : parts[i].substr(equals + 1);
        element.valid &= element.names.insert(name).second;
        if (name == "server_max_window_bits" || (name == "client_max_window_bits" && !is_offer) ||
            (name == "client_max_window_bits" && equals != name.npos)) {
            (name[0] == 's' ? element.server_window_bits : element.client_window_bits) =
                window_bits(value);
            element.valid &= window_bits(value) != 0;
        } else {
            element.valid &= equals == name.npos && (name == "server_no_context_takeover" ||
                                                     name == "client_no_context_takeover" ||
                                                     name == "client_max_window_bits");
        }
    }
    return element;
}

// In an offer that can be parsed every name and value is a token, so that what is taken out
// here only stands around or between them.
std::string bare(std::string_view offer)
{
    std::string text;
    for (char c : offer) {
        if (c != ' ' && c != '\t' && c != '"' && c != '\\')
            text += c;
    }
    return text;
}

// The first offer that can be accepted.
std::optional<Element> first_acceptable(const std::vector<std::string_view> &offers)
{
    for (const std::string_view offer : offers) {
        const Element element = read_element(bare(offer), true);
        if (element.valid)
            return element;
    }
    return {};
}

void check_agreed(const CompressionParameters &agreed, const Element &offer,
                  const CompressionWish &wish)
{
    require(agreed.server_window_bits == offer.server_window_bits, "another window than offered");
    require(agreed.client_window_bits ==
                (offer.has("client_max_window_bits")
                     ? std::min(offer.client_window_bits, wish.client_window_bits)
                     : 15),
            "the client's window is not the smaller one of offer and wish");
    require(agreed.server_context_takeover ==
                (wish.keeps_history && !offer.has("server_no_context_takeover")),
            "the server's context");
    require(agreed.client_context_takeover == !offer.has("client_no_context_takeover"),
            "the client's context");
}

// What a client that offered this does with the answer; it is written only in one way.
void check_answer(const std::string &answer, const CompressionParameters &agreed,
                  const Element &offer)
{
    std::string text;
    for (const std::string &part : split(answer, ';')) {
        require(text.empty() ? part[0] != ' ' : part[0] == ' ', "white space in the answer");
        text += text.empty() ? part : ";" + part.substr(1);
    }
    require(text == bare(text), "white space or quotes in the answer");
    const Element element = read_element(text, false);
    require(element.valid, "a client refuses the answer");
    require(!element.has("client_max_window_bits") || offer.has("client_max_window_bits"),
            "a window is asked of a client that did not offer it");
    require(element.has("server_max_window_bits") == offer.has("server_max_window_bits"),
            "the server's window is not answered as offered");
    require(element.server_window_bits == agreed.server_window_bits &&
                element.client_window_bits == agreed.client_window_bits &&
                element.has("server_no_context_takeover") == !agreed.server_context_takeover &&
                element.has("client_no_context_takeover") == !agreed.client_context_takeover,
            "a client understands something else");
}

// The answer becomes one header of the 101, and no answer none.
void check_response(const Request &request, const std::string &extensions)
{
    const std::string text = upgrade_response(request, "", extensions, {}, {});
    const Answer answer = read_answer(text);
    require(answer.status == 101 && answer.rest.empty(), "the answer is not a 101");
    const auto lines = std::count(answer.head.begin(), answer.head.end(), '\n');
    require(lines == (extensions.empty() ? 6 : 7), "the 101 has extra lines");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t choice = input.byte();
    const CompressionWish wish{.client_window_bits = 8 + choice % 8,
                               .keeps_history = (choice & 8) == 0};
    Request request;
    const Refusal refusal = request.parse("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                          "Sec-WebSocket-Extensions: " +
                                          text_of(input.rest()) + "\r\n\r\n");
    if (refusal.status != 0 || !request.is_websocket())
        return 0;
    const std::vector<std::string_view> offers = request.extension_offers();
    const std::optional<Element> offer = first_acceptable(offers);
    const Agreed agreed = negotiate_compression(offers, wish);
    require(agreed.has_value() == offer.has_value(), "accepted or declined against the rules");
    if (!agreed) {
        check_response(request, "");
        return 0;
    }
    check_agreed(*agreed, *offer, wish);
    const std::string answer = compression_answer(*agreed);
    check_answer(answer, *agreed, *offer);
    check_response(request, answer);
    return 0;
}
