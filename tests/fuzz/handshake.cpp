// handshake.cpp: fuzz target: where a request's header block ends, what is in it, and the
// answers that are made of it. What the scanner finds may not depend on the chunks; what is
// parsed must be clean; no byte of a request may become a line of an answer.
//
// Input: a byte for the limit, the chunk lengths, the bytes a client sends.
#include "http.h"

#include "handshake.h"

#include <array>
#include <cstring>

using namespace websock;
using namespace fuzz;

namespace {

constexpr size_t kLimits[] = {8192, 256, 1, 4};

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
            "refused, and not refused");
    require(scanned.status == 0 || scanned.status == 400 || scanned.status == 431,
            "an unknown status");
    const std::string_view text = as_text(stream);
    const size_t end = text.find("\r\n\r\n");
    if (scanned.result == Result::complete)
        require(end != text.npos && scanned.length == end + 4, "the block ends elsewhere");
    if (scanned.result == Result::need_more)
        require(end == text.npos && stream.size() < limit, "the end was overlooked");
}

bool has_control(std::string_view text)
{
    return std::any_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
}

// Joined values, of which the last is empty, end with what joins them.
bool is_trimmed(std::string_view value)
{
    return !value.starts_with(' ') && (!value.ends_with(' ') || value.ends_with(", "));
}

// What is read out, before a refusal too.
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
        require(value == request.header(other_case), "the case of a name makes a difference");
        require(!value || !has_control(value), "a value has a control character");
        if (value && *value)
            require(is_trimmed(value), "a value has white space around it");
    }
}

std::string first_protocol(const Request &request)
{
    const char *offered = request.header("Sec-WebSocket-Protocol");
    if (!offered)
        return {};
    const std::string list = offered;
    const std::string first = list.substr(0, list.find_first_of(", \t"));
    require(first.empty() || request.offers_protocol(first), "what is offered first is not");
    return first;
}

void check_upgrade(const Request &request)
{
    require(std::strcmp(request.method(), "GET") == 0, "an upgrade that is no GET");
    require(!request.header("Transfer-Encoding"), "an upgrade with a body");
    const char *key = request.header("Sec-WebSocket-Key");
    require(key && std::strlen(key) == 24, "an upgrade without a key");
    const std::string protocol = first_protocol(request);
    const std::string text = upgrade_response(request, protocol, {});
    const Answer answer = read_answer(text);
    require(answer.status == 101 && answer.rest.empty() && !answer.has_length,
            "the answer to an upgrade is no 101");
    const auto lines = std::count(answer.head.begin(), answer.head.end(), '\n');
    require(lines == (protocol.empty() ? 5 : 6), "the 101 has other lines than its own");
}

void check_refusal(const Refusal &refusal, bool head_only)
{
    constexpr std::array kStatuses = {400, 405, 408, 413, 426, 431, 505};
    require(std::find(kStatuses.begin(), kStatuses.end(), refusal.status) != kStatuses.end(),
            "refused with an unknown status");
    const std::string text = refusal_response(refusal, head_only);
    const Answer answer = read_answer(text);
    require(answer.status == refusal.status && answer.has_length, "another status is answered");
    require(answer.rest.size() == (head_only ? 0 : answer.content_length),
            "the body is not as long as it says");
}

void parse(Bytes stream)
{
    Exact exact(stream);
    const std::string_view block = as_text(exact.span());
    Request request;
    const Refusal refusal = request.parse(block);
    check_strings(request);
    require(!(refusal.status != 0 && request.is_websocket()), "refused, and an upgrade");
    if (refusal.status != 0)
        return check_refusal(refusal, request.is_head());
    require(is_header_token(request.method()), "the method is no token");
    require(request.path()[0] == '/', "the path does not begin with a slash");
    require(!std::strpbrk(request.path(), " ?#"), "the path has what belongs behind it");
    require(request.header("Host") != nullptr, "a request without a Host");
    if (request.is_websocket())
        check_upgrade(request);
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
    require(scan(stream, limit, &chunking) == whole, "chunks make a difference");
    check_scanned(whole, stream, limit);
    if (whole.result == HeaderScanner::Result::complete)
        parse(stream.first(whole.length));
    if (whole.result == HeaderScanner::Result::refused)
        check_refusal({whole.status, whole.reason.c_str()}, false);
    if (!stream.empty())
        parse(stream); // no scanner lets all of these through, but parse() takes any bytes
    return 0;
}
