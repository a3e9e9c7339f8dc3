// request_body.cpp: fuzz target: how long the body of a request is, and what its chunks hold. What
// is found may not depend on how the bytes come, a plain reading of the chunks must find the same,
// and no more may be kept than is allowed.
//
// Input: a byte of choices (below), the chunk lengths, for some choices a byte and so many bytes of
// header lines, and what follows the headers.
#include "target.h"

#include "protocol/request_body.h"

#include <string>

using namespace websock;
using namespace fuzz;

namespace {

using Result = RequestBody::Result;

constexpr uint8_t kOwnHeaders = 1; // header lines are in the input; otherwise it is chunks
constexpr uint8_t kTight = 2;      // small limits

struct Limits {
    size_t bytes, extra;
};
constexpr Limits kWide = {1 << 20, 16384}, kSmall = {20, 24};

struct Read {
    Result result = Result::need_more;
    std::string body = {};
    size_t used = 0;
    int status = 0;
    bool operator==(const Read &) const = default;
};

std::string_view as_text(std::span<const uint8_t> bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

Read read(const Request &request, Bytes stream, const Limits &limits, Chunking *chunking)
{
    RequestBody body(limits.bytes, limits.extra);
    Read read{.result = body.begin(request)};
    while (read.result == Result::need_more && read.used < stream.size()) {
        const size_t left = stream.size() - read.used;
        const size_t len = chunking ? chunking->next(left) : left;
        Exact piece(stream.subspan(read.used, len));
        size_t used = 0;
        read.result = body.take(as_text(piece.span()), used);
        require(used <= len, "more was taken than is there");
        require(used == len || read.result != Result::need_more, "bytes were left for no reason");
        read.used += used;
    }
    read.status = body.refusal().status;
    if (read.result == Result::complete) {
        read.body.assign(body.data(), body.size());
        require(body.data()[body.size()] == '\0', "no NUL follows the body");
        require(body.size() <= limits.bytes, "the body is larger than is allowed");
    }
    return read;
}

int hex_value(char c)
{
    const std::string_view digits = "0123456789abcdef";
    const size_t at = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c);
    return at == digits.npos ? -1 : static_cast<int>(at);
}

// Takes the line off the text. False: it has no end yet.
bool take_line(std::string_view &text, std::string_view &line)
{
    const size_t end = text.find("\r\n");
    if (end == text.npos)
        return false;
    line = text.substr(0, end);
    text.remove_prefix(end + 2);
    return true;
}

// A reading of well-formed chunks that forgives more and knows no limits.
bool plainly_complete(std::string_view text, Read &plain)
{
    const size_t all = text.size();
    std::string_view line;
    for (;;) {
        if (!take_line(text, line))
            return false;
        size_t size = 0, digits = 0;
        for (; digits < line.size() && hex_value(line[digits]) >= 0; ++digits)
            size = size > all ? size : 16 * size + static_cast<size_t>(hex_value(line[digits]));
        if (digits == 0)
            return false;
        if (size == 0)
            break;
        if (size + 2 > text.size() || text.substr(size, 2) != "\r\n")
            return false;
        plain.body.append(text.substr(0, size));
        text.remove_prefix(size + 2);
    }
    do {
        if (!take_line(text, line))
            return false;
    } while (!line.empty());
    plain.used = all - text.size();
    plain.result = Result::complete;
    return true;
}

void check_chunks(const Read &found, Bytes stream)
{
    Read plain;
    const bool is_complete = plainly_complete(as_text(stream), plain);
    if (found.result == Result::complete)
        require(is_complete && found == plain, "the chunks hold something else");
    if (found.result == Result::need_more)
        require(!is_complete, "the last chunk was missed");
}

// What came in any chunks comes in chunks of this size, too, and with a length.
void check_again(const Read &found, size_t chunk)
{
    std::string bytes;
    for (std::string_view rest = found.body; !rest.empty();) {
        const std::string_view data = rest.substr(0, chunk);
        char size[32];
        (void)std::snprintf(size, sizeof size, "%zX\r\n", data.size());
        bytes.append(size).append(data).append("\r\n");
        rest.remove_prefix(data.size());
    }
    bytes += "0\r\n\r\n";
    Request chunked, with_length;
    const std::string line = "PUT / HTTP/1.1\r\nHost: a\r\n";
    (void)chunked.parse(line + "Transfer-Encoding: chunked\r\n\r\n", Request::Bodies::accepted);
    (void)with_length.parse(line + "Content-Length: " + std::to_string(found.body.size()) +
                                "\r\n\r\n",
                            Request::Bodies::accepted);
    require(read(chunked, bytes_of(bytes), kWide, nullptr).body == found.body,
            "not the same again");
    require(read(with_length, bytes_of(found.body), kWide, nullptr).body == found.body,
            "not the same with a length");
}

void check_headers(const Request &request, const Read &found)
{
    const bool has_codings = request.header("Transfer-Encoding") != nullptr;
    const char *const length = request.header("Content-Length");
    require(!(has_codings && length) || found.status == 400, "a length beside a coding");
    require(found.status != 501 || has_codings, "501 without a coding");
    if (!has_codings && !length)
        require(found.result == Result::complete && found.used == 0, "a body without a length");
    if (length && found.result == Result::complete)
        require(found.used == found.body.size(), "another length than the body's");
}

void check_status(const Read &found)
{
    require((found.result == Result::refused) == (found.status != 0),
            "a refusal without a status, or a status without a refusal");
    require(found.status == 0 || found.status == 400 || found.status == 413 ||
                found.status == 431 || found.status == 501,
            "an unknown status");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t choices = input.byte();
    Chunking chunking(input);
    const bool own_headers = (choices & kOwnHeaders) != 0;
    const std::string headers =
        own_headers ? text_of(input.take(input.byte())) : "Transfer-Encoding: chunked";
    const Limits &limits = (choices & kTight) != 0 ? kSmall : kWide;
    Request request;
    if (request.parse("POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n\r\n",
                      Request::Bodies::accepted)
                .status != 0 ||
        request.is_websocket())
        return 0;
    const Bytes stream = input.rest();
    const Read found = read(request, stream, limits, nullptr);
    require(read(request, stream, limits, &chunking) == found, "pieces change the result");
    check_status(found);
    check_headers(request, found);
    if (!own_headers)
        check_chunks(found, stream);
    if (found.result == Result::complete)
        check_again(found, 1 + choices / 4);
    (void)expects_continue(request);
    return 0;
}
