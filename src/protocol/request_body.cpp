// request_body.cpp: see request_body.h.
#include "protocol/request_body.h"

#include "protocol/http_syntax.h"

#include <algorithm>
#include <limits>

namespace websock {

namespace {

constexpr Refusal kTooLarge = {413, "the request's body is too large"};

// RFC 9112 6.1 and 6.3, item 4. A list with an empty element may be read in two ways.
Refusal check_codings(std::string_view list)
{
    std::string_view last;
    int codings = 0;
    bool chunked_before = false, empty = false;
    (void)any_element(list, [&](std::string_view coding) {
        chunked_before |= equals_ignoring_case(last, "chunked");
        empty |= coding.empty();
        last = coding;
        ++codings;
        return false;
    });
    if (empty || chunked_before || !equals_ignoring_case(last, "chunked")) {
        return bad_request("malformed Transfer-Encoding, or chunked is not the last coding");
    }
    return codings == 1 ? kNotRefused : Refusal{501, "a transfer coding other than chunked"};
}

bool is_hex_digit(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

// digits: nothing but such. SIZE_MAX if it is more than that.
size_t number(std::string_view digits, size_t base)
{
    constexpr size_t kMost = std::numeric_limits<size_t>::max();
    size_t n = 0;
    for (const char c : digits) {
        const auto digit = static_cast<size_t>(is_digit(c) ? c - '0' : lower(c) - 'a' + 10);
        if (n > (kMost - digit) / base) {
            return kMost;
        }
        n = base * n + digit;
    }
    return n;
}

} // namespace

bool expects_continue(const Request &request)
{
    const char *expect = request.header("Expect");
    return expect && !request.is_http_1_0() && has_element(expect, "100-continue");
}

RequestBody::Result RequestBody::begin(const Request &request)
{
    const char *const codings = request.header("Transfer-Encoding");
    const char *const length = request.header("Content-Length");
    if (codings && length) { // RFC 9112 6.3, item 3: an attempt at smuggling
        refuse(bad_request("both Content-Length and Transfer-Encoding"));
    } else if (codings && request.is_http_1_0()) { // RFC 9112 6.1
        refuse(bad_request("Transfer-Encoding in HTTP/1.0"));
    } else if (codings) {
        chunked_ = true;
        state_ = State::size_line;
        refuse(check_codings(codings));
    } else if (length) {
        refuse(begin_with_length(length));
    }
    return result();
}

Refusal RequestBody::begin_with_length(std::string_view list)
{
    if (!is_content_length(list)) {
        return bad_request("malformed Content-Length");
    }
    const size_t length = number(trim(list.substr(0, list.find(','))), 10);
    left_ = length;
    state_ = length == 0 ? State::complete : State::data;
    return length > max_bytes_ ? kTooLarge : kNotRefused;
}

RequestBody::Result RequestBody::take(std::string_view bytes, size_t &used)
{
    used = 0;
    while (used < bytes.size() && result() == Result::need_more) {
        if (state_ == State::data) {
            const size_t len = std::min(left_, bytes.size() - used);
            take_data(bytes.substr(used, len));
            used += len;
        } else {
            refuse(take_of_line(bytes[used]));
            ++used;
        }
    }
    return result();
}

void RequestBody::take_data(std::string_view bytes)
{
    // With room for the NUL. At most twice what has come, and never more than may come.
    const size_t needed = bytes_.size() + bytes.size() + 1;
    if (needed > bytes_.capacity()) {
        const size_t most = chunked_ ? max_bytes_ : bytes_.size() + left_;
        bytes_.reserve(std::min(std::max(needed, 2 * bytes_.capacity()), most + 1));
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    left_ -= bytes.size();
    if (left_ > 0) {
        return;
    }
    state_ = chunked_ ? State::chunk_end : State::complete;
    if (!chunked_) {
        bytes_.push_back('\0');
    }
}

Refusal RequestBody::take_of_line(char c)
{
    const bool after_cr = line_.ends_with('\r');
    if (after_cr && c == '\n') {
        line_.pop_back();
        const Refusal refusal = end_line(line_);
        line_.clear();
        return refusal;
    }
    if (after_cr || c == '\n') {
        return bad_request("CR without LF, or LF without CR, in the request's body");
    }
    if (c != '\r' && state_ == State::chunk_end) {
        return bad_request("a chunk is longer than its size");
    }
    if (c != '\r' && !is_header_value({&c, 1})) {
        return bad_request("control character between chunks");
    }
    if (line_.size() >= max_extra_ - extra_) {
        return {431, "chunk extensions and trailers are too long"};
    }
    line_ += c;
    return kNotRefused;
}

// RFC 9112 7.1. What trailers say is dropped (7.1.2), and so are extensions (7.1.1).
Refusal RequestBody::end_line(std::string_view line)
{
    if (state_ == State::size_line) {
        return begin_chunk(line);
    }
    if (state_ == State::chunk_end) {
        state_ = State::size_line;
        return kNotRefused;
    }
    if (!line.empty()) {
        extra_ = std::min(max_extra_, extra_ + line.size() + 2);
        return kNotRefused;
    }
    state_ = State::complete;
    if (!bytes_.empty()) {
        bytes_.push_back('\0'); // there is room for it
    }
    return kNotRefused;
}

Refusal RequestBody::begin_chunk(std::string_view line)
{
    const auto digits_end = std::find_if_not(line.begin(), line.end(), is_hex_digit);
    const auto digits = static_cast<size_t>(digits_end - line.begin());
    const std::string_view rest = trim(line.substr(digits));
    if (digits == 0 || (!rest.empty() && !rest.starts_with(';'))) {
        return bad_request("malformed size of a chunk");
    }
    extra_ += line.size() - digits;
    left_ = number(line.substr(0, digits), 16);
    state_ = left_ == 0 ? State::trailer_lines : State::data;
    return left_ > max_bytes_ - bytes_.size() ? kTooLarge : kNotRefused;
}

void RequestBody::refuse(const Refusal &refusal)
{
    if (refusal.status != 0) {
        refusal_ = refusal;
        state_ = State::refused;
    }
}

RequestBody::Result RequestBody::result() const
{
    if (state_ == State::refused) {
        return Result::refused;
    }
    return state_ == State::complete ? Result::complete : Result::need_more;
}

} // namespace websock
