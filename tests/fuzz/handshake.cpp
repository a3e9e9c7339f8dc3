// handshake.cpp: fuzz target: where a request's header block ends, what is in it, and the
// answers made from it. What the scanner finds may not depend on the chunks; what is parsed
// must be clean; no byte of a request may become a line of an answer.
//
// Input: a byte for the limit, the chunk lengths, the bytes a client sends.
#include "http.h"

#include "protocol/handshake.h"

#include <array>
#include <cstring>
#include <vector>

using namespace websock;
using namespace fuzz;

namespace {

constexpr size_t kLimits[] = {16384, 256, 1, 4};

std::string_view as_text(std::span<const uint8_t> bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

struct Scanned {
    HeaderScanner::Result result = HeaderScanner::Result::need_more;
    size_t length = 0;
    int status = 0;
    std::string reason = {};
    bool operator==(const Scanned &) const = default;
};

Scanned scan(Bytes stream, size_t limit, Chunking *chunking)
{
    HeaderScanner scanner(limit);
    Scanned scanned;
    for (size_t at = 0; at < stream.size();) {
        const size_t left = stream.size() - at;
        at += chunking ? chunking->next(left) : left;
        Exact so_far(stream.first(at));
        scanned.result = scanner.scan(as_text(so_far.span()));
        if (scanned.result != HeaderScanner::Result::need_more)
            break;
    }
    scanned.length = scanner.length();
    scanned.status = scanner.refusal().status;
    scanned.reason = scanner.refusal().reason;
    return scanned;
}

void check_scanned(const Scanned &scanned, Bytes stream, size_t limit)
{
    using Result = HeaderScanner::Result;
    require(scanned.length <= std::min(stream.size(), limit), "more was scanned than is there");
    require((scanned.result == Result::refused) == (scanned.status != 0),
            "a refusal without a status, or a status without a refusal");
    require(scanned.status == 0 || scanned.status == 400 || scanned.status == 431,
            "an unknown status");
    const std::string_view text = as_text(stream);
    const size_t end = text.find("\r\n\r\n");
    if (scanned.result == Result::complete)
        require(end != text.npos && scanned.length == end + 4, "the block's end is wrong");
    if (scanned.result == Result::need_more)
        require(end == text.npos && stream.size() < limit, "the end was missed");
}

bool has_control(std::string_view text)
{
    return std::any_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
}

// Joined values, the last one empty, end with the separator.
bool is_trimmed(std::string_view value)
{
    return !value.starts_with(' ') && (!value.ends_with(' ') || value.ends_with(", "));
}

// Checks what is read out of a request, even before a refusal.
void check_strings(const Request &request)
{
    require(!has_control(request.method()), "the method has a control character");
    require(!has_control(request.path()), "the path has a control character");
    require(!has_control(request.query()), "the query has a control character");
    for (const char *name : {"Host", "Upgrade", "Connection", "Origin", "Content-Length",
                             "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "X"}) {
        const char *value = request.header(name);
        std::string other_case = name;
        for (char &c : other_case)
            c = static_cast<char>(c ^ (c == '-' ? 0 : 0x20));
        require(value == request.header(other_case), "the case of a name matters");
        require(!value || !has_control(value), "a value has a control character");
        if (value && *value)
            require(is_trimmed(value), "a value has white space around it");
    }
}

// The elements between the commas, without the white space around them.
std::vector<std::string> elements(std::string_view list)
{
    std::vector<std::string> all(1);
    for (char c : list) {
        if (c == ',')
            all.emplace_back();
        else
            all.back() += c;
    }
    for (std::string &element : all) {
        const size_t first = element.find_first_not_of(" \t");
        const size_t last = element.find_last_not_of(" \t");
        element = first == element.npos ? "" : element.substr(first, last + 1 - first);
    }
    return all;
}

// The first name that can be chosen, or "".
std::string first_protocol(const Request &request)
{
    const char *offered = request.header("Sec-WebSocket-Protocol");
    std::string first;
    for (const std::string &name : elements(offered ? offered : "")) {
        const bool is_visible = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
            return c >= 0x20 && c < 0x7f;
        });
        require(request.offers_protocol(name) == is_visible, "a name is offered and not offered");
        if (is_visible && first.empty())
            first = name;
    }
    require(!request.offers_protocol(first + ","), "a name that is not offered can be chosen");
    return first;
}

// Offers are whole parts of the header, and only those that can be parsed.
void check_extensions(const Request &request)
{
    const char *header = request.header("Sec-WebSocket-Extensions");
    const std::string_view list = header ? header : "";
    const char *at = list.data();
    for (const std::string_view offer : request.extension_offers()) {
        require(offer.data() >= at && offer.data() + offer.size() <= list.data() + list.size(),
                "an offer is not in the header, or out of order");
        at = offer.data() + offer.size();
        const std::string name = elements(offer.substr(0, offer.find(';'))).front();
        require(is_header_token(name), "an extension's name is not a token");
        require(offer.find(',') == offer.npos, "an offer that can be parsed has a comma");
        require(std::count(offer.begin(), offer.end(), '"') % 2 == 0, "a quote has no end");
    }
}

void check_upgrade(const Request &request)
{
    require(std::strcmp(request.method(), "GET") == 0, "an upgrade that is not a GET");
    require(!request.header("Transfer-Encoding"), "an upgrade with a body");
    const char *key = request.header("Sec-WebSocket-Key");
    require(key && std::strlen(key) == 24, "an upgrade without a key");
    const std::string protocol = first_protocol(request);
    check_extensions(request);
    const std::string text = upgrade_response(request, protocol, "", {}, {});
    const Answer answer = read_answer(text);
    require(answer.status == 101 && answer.rest.empty() && !answer.has_length,
            "the answer to an upgrade is not a 101");
    const auto lines = std::count(answer.head.begin(), answer.head.end(), '\n');
    require(lines == (protocol.empty() ? 6 : 7), "the 101 has extra lines");
}

void check_refusal(const Refusal &refusal, bool head_only)
{
    constexpr std::array kStatuses = {400, 405, 408, 413, 426, 431, 505};
    require(std::find(kStatuses.begin(), kStatuses.end(), refusal.status) != kStatuses.end(),
            "refused with an unknown status");
    const std::string text = refusal_response(refusal, head_only, {}, {});
    const Answer answer = read_answer(text);
    require(answer.status == refusal.status && answer.has_length,
            "the answer has a different status");
    require(answer.rest.size() == (head_only ? 0 : answer.content_length),
            "the body's length is not as announced");
}

bool is_http_1_0(std::string_view block)
{
    const size_t start = block.starts_with("\r\n") ? 2 : 0;
    return block.substr(0, block.find("\r\n", start)).ends_with(" HTTP/1.0");
}

void parse(Bytes stream)
{
    Exact exact(stream);
    const std::string_view block = as_text(exact.span());
    Request request;
    const Refusal refusal = request.parse(block);
    check_strings(request);
    require(!(refusal.status != 0 && request.is_websocket()), "an upgrade that is also refused");
    if (refusal.status != 0)
        return check_refusal(refusal, request.is_head());
    require(is_header_token(request.method()), "the method is not a token");
    require(request.path()[0] == '/', "the path does not begin with a slash");
    require(!std::strpbrk(request.path(), " ?#"), "the path contains what belongs after it");
    require(!std::strchr(request.query(), '#'), "the query has a fragment");
    require(request.header("Host") || is_http_1_0(block), "a request without a Host");
    if (request.is_websocket()) {
        require(!is_http_1_0(block), "an upgrade over HTTP/1.0");
        check_upgrade(request);
    }
    require(as_text(exact.span()) == as_text(stream), "the caller's bytes were changed");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const size_t limit = kLimits[input.byte() % std::size(kLimits)];
    Chunking chunking(input);
    const Bytes stream = input.rest();
    const Scanned whole = scan(stream, limit, nullptr);
    require(scan(stream, limit, &chunking) == whole, "chunks change the result");
    check_scanned(whole, stream, limit);
    if (whole.result == HeaderScanner::Result::complete)
        parse(stream.first(whole.length));
    if (whole.result == HeaderScanner::Result::refused)
        check_refusal({whole.status, whole.reason.c_str()}, false);
    if (!stream.empty())
        parse(stream); // no scanner lets all of these through, but parse() takes any bytes
    return 0;
}
