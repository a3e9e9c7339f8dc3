// deflate_client.cpp: see deflate_client.h.
#include "deflate_client.h"

#include "exchange.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

namespace bench {

namespace {

constexpr std::string_view kTail{"\x00\x00\xff\xff", 4}; // RFC 7692 7.2.1
constexpr size_t kMaskBytes = 4;
constexpr char kMask[kMaskBytes] = {0x37, 0x7a, 0x21, 0x3d};
constexpr int kLevel = 6, kMemLevel = 8; // zlib's defaults

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

// Up to the separator, which is taken away, too.
std::string_view next_part(std::string_view &rest, std::string_view separator)
{
    const size_t end = rest.find(separator);
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + separator.size());
    return trimmed(part);
}

bool same_name(std::string_view a, std::string_view b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

std::string_view extensions(std::string_view response)
{
    while (!response.empty()) {
        std::string_view line = next_part(response, "\r\n");
        if (same_name(next_part(line, ":"), "Sec-WebSocket-Extensions"))
            return trimmed(line);
    }
    return {};
}

int window_bits(std::string_view value)
{
    const int bits = std::atoi(std::string(value).c_str());
    if (bits < 8 || bits > 15)
        give_up("handshake: bad window bits");
    return bits;
}

void agree(Agreement &agreement, std::string_view parameter)
{
    const std::string_view name = next_part(parameter, "=");
    if (name == "server_no_context_takeover")
        agreement.server_context_takeover = false;
    else if (name == "client_max_window_bits")
        agreement.client_window_bits = window_bits(parameter);
    else if (name == "server_max_window_bits")
        agreement.server_window_bits = window_bits(parameter);
    else if (name != "client_no_context_takeover") // no message refers to another one anyway
        give_up("handshake: an unknown parameter of permessage-deflate");
}

// zlib has no raw window of 8 bits; the distances in one of 9 stay below 251.
std::string deflated(const std::string &text, int window_bits)
{
    z_stream stream{};
    if (deflateInit2(&stream, kLevel, Z_DEFLATED, -std::max(window_bits, 9), kMemLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        give_up("deflateInit2");
    std::string out(deflateBound(&stream, text.size()) + 16, '\0');
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef *>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_out == 0)
        give_up("deflate");
    out.resize(out.size() - stream.avail_out - kTail.size());
    (void)deflateEnd(&stream);
    return out;
}

// RFC 6455 5.2.
std::string masked_frame(const std::string &payload, bool text, bool compressed)
{
    std::string frame(1, static_cast<char>((compressed ? 0xc0 : 0x80) | (text ? 1 : 2)));
    const auto put = [&](int marker, int length_bytes) {
        frame += static_cast<char>(0x80 | marker);
        for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8)
            frame += static_cast<char>((payload.size() >> shift) & 0xff);
    };
    if (payload.size() <= 125)
        put(static_cast<int>(payload.size()), 0);
    else if (payload.size() <= 0xffff)
        put(126, 2);
    else
        put(127, 8);
    frame.append(kMask, kMaskBytes);
    for (size_t i = 0; i < payload.size(); ++i)
        frame += static_cast<char>(payload[i] ^ kMask[i % kMaskBytes]);
    return frame;
}

} // namespace

std::string deflate_handshake(bool wanted)
{
    std::string request(kHandshake);
    if (wanted)
        request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate; "
                                           "client_max_window_bits\r\n");
    return request;
}

Agreement agreement_of(std::string_view response, bool wanted)
{
    if (!accepts_upgrade(response))
        give_up("handshake: refused");
    std::string_view answer = extensions(response);
    Agreement agreement{.compression = wanted, .answer = std::string(answer)};
    if (!wanted && !answer.empty())
        give_up("handshake: an extension that was not offered");
    if (!wanted)
        return agreement;
    if (next_part(answer, ";") != "permessage-deflate")
        give_up("handshake: the server does not compress");
    while (!answer.empty())
        agree(agreement, next_part(answer, ";"));
    return agreement;
}

Requests::Requests(const Texts &texts, const Agreement &agreement)
{
    for (size_t i = 0; i < texts.count(); ++i) {
        const std::string &text = texts.text(i);
        const std::string small =
            agreement.compression ? deflated(text, agreement.client_window_bits) : text;
        const bool compressed = small.size() < text.size();
        frames_.push_back(masked_frame(compressed ? small : text, texts.utf8(), compressed));
    }
}

size_t FrameReader::header_length() const
{
    if (header_.size() < 2)
        return 2;
    const int length = header_[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

// Takes what belongs to the header; false: more must come.
bool FrameReader::parse_header(std::string_view &bytes)
{
    while (header_.size() < header_length()) {
        if (bytes.empty())
            return false;
        header_ += bytes.front();
        bytes.remove_prefix(1);
    }
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(header_[i]); };
    left_ = byte(1);
    if (header_.size() > 2)
        left_ = 0;
    for (size_t i = 2; i < header_.size(); ++i)
        left_ = left_ << 8 | byte(i);
    const int opcode = byte(0) & 0x0f;
    if (opcode > 2 || (opcode == 0) != in_message_ || (byte(0) & 0x30) != 0)
        give_up("a frame that should not have come");
    if (!in_message_) {
        compressed_ = byte(0) & 0x40;
        wire_bytes_ = 0;
    }
    wire_bytes_ += header_.size() + left_;
    in_message_ = in_frame_ = true;
    fin_ = byte(0) & 0x80;
    header_.clear();
    return true;
}

void FrameReader::read(std::string_view bytes, const Take &take)
{
    while (in_frame_ || !bytes.empty()) {
        if (!in_frame_ && !parse_header(bytes))
            return;
        const std::string_view payload = bytes.substr(0, left_);
        bytes.remove_prefix(payload.size());
        left_ -= payload.size();
        if (left_ > 0) {
            message_ += payload;
            return;
        }
        end_frame(payload, take);
    }
}

void FrameReader::end_frame(std::string_view payload, const Take &take)
{
    in_frame_ = false;
    const bool whole = fin_ && message_.empty();
    if (!whole)
        message_ += payload;
    if (!fin_)
        return;
    in_message_ = false;
    take(compressed_, whole ? payload : message_);
    message_.clear();
}

Inflate::Inflate(const Agreement &agreement)
    : keeps_window_(agreement.server_context_takeover), stream_(new z_stream{})
{
    if (inflateInit2(stream_.get(), -agreement.server_window_bits) != Z_OK)
        give_up("inflateInit2");
}

std::string_view Inflate::message(std::string_view payload, std::span<char> room)
{
    stream_->next_out = reinterpret_cast<Bytef *>(room.data());
    stream_->avail_out = static_cast<uInt>(room.size());
    feed(payload);
    feed(kTail);
    const size_t length = room.size() - stream_->avail_out;
    if (!keeps_window_)
        (void)inflateReset(stream_.get());
    return {room.data(), length};
}

void Inflate::feed(std::string_view bytes)
{
    stream_->next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
    stream_->avail_in = static_cast<uInt>(bytes.size());
    const int result = inflate(stream_.get(), Z_SYNC_FLUSH);
    if (result != Z_OK || stream_->avail_in > 0 || stream_->avail_out == 0)
        give_up("what came is not what was sent, compressed");
}

} // namespace bench
