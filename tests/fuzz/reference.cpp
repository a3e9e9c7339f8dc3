// reference.cpp: see reference.h.
#include "reference.h"

namespace fuzz {

namespace {

struct Lead {
    size_t length; // of the character; 0 if no character begins like this
    uint32_t bits;
    uint32_t least; // anything smaller has a shorter form
};

Lead lead_of(uint8_t byte)
{
    if (byte < 0x80)
        return {1, byte, 0};
    if ((byte & 0xe0) == 0xc0)
        return {2, byte & 0x1fu, 0x80};
    if ((byte & 0xf0) == 0xe0)
        return {3, byte & 0x0fu, 0x800};
    if ((byte & 0xf8) == 0xf0)
        return {4, byte & 0x07u, 0x10000};
    return {0, 0, 0};
}

// Whether a character is possible for a number whose lower bits are still to come.
bool is_possible(const Lead &lead, uint32_t number, size_t missing)
{
    const uint32_t low = number << (6 * missing);
    const uint32_t high = low | ((1u << (6 * missing)) - 1);
    const bool surrogate = low >= 0xd800 && high <= 0xdfff;
    return high >= lead.least && low <= 0x10ffff && !surrogate;
}

uint64_t big_endian(Bytes bytes)
{
    uint64_t value = 0;
    for (uint8_t byte : bytes)
        value = value * 256 + byte;
    return value;
}

constexpr uint8_t kFin = 0x80, kMasked = 0x80;
constexpr uint8_t kText = 1;

bool is_control(uint8_t opcode) { return opcode >= 8; }

bool is_opcode(uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

} // namespace

TextVerdict judge_text(Bytes text)
{
    TextVerdict verdict;
    while (verdict.whole_characters < text.size()) {
        const size_t start = verdict.whole_characters;
        const Lead lead = lead_of(text[start]);
        uint32_t number = lead.bits;
        for (size_t i = 0; i < std::max<size_t>(lead.length, 1); ++i) {
            if (start + i == text.size())
                return verdict;
            const uint8_t byte = text[start + i];
            if (i > 0)
                number = number << 6 | (byte & 0x3fu);
            const bool continues = i == 0 || (byte & 0xc0) == 0x80;
            if (lead.length == 0 || !continues || !is_possible(lead, number, lead.length - 1 - i)) {
                verdict.bad_at = start + i;
                return verdict;
            }
        }
        verdict.whole_characters += lead.length;
    }
    return verdict;
}

std::string plain_unmask(Bytes masked, Bytes key, size_t phase)
{
    std::string out;
    for (size_t i = 0; i < masked.size(); ++i)
        out += static_cast<char>(masked[i] ^ key[(i + phase) % 4]);
    return out;
}

bool PlainReader::fail(PlainFrame &frame, uint16_t close_code)
{
    ended_ = true;
    frame = {.kind = PlainFrame::error, .close_code = close_code};
    return true;
}

// RFC 6455 5.2 to 5.6. Everything is refused as early as possible.
bool PlainReader::next(PlainFrame &frame)
{
    if (ended_ || rest_.empty())
        return false;
    const uint8_t first = rest_[0];
    const uint8_t opcode = first & 0x0f;
    const bool fin = (first & kFin) != 0;
    const bool rsv1 = (first & 0x40) != 0;
    if (rsv1 && (!compression_ || is_control(opcode) || opcode == 0))
        return fail(frame, 1002);
    if ((first & 0x30) != 0 || !is_opcode(opcode) || (is_control(opcode) && !fin))
        return fail(frame, 1002);
    if (!is_control(opcode) && (opcode == 0) != in_message_)
        return fail(frame, 1002);
    if (rest_.size() < 2)
        return false;

    const uint8_t second = rest_[1];
    const uint8_t short_len = second & 0x7f;
    if (((second & kMasked) != 0) != of_client_ || (is_control(opcode) && short_len > 125))
        return fail(frame, 1002);
    const size_t extended_len = short_len == 127 ? 8 : short_len == 126 ? 2 : 0;
    const Bytes extended = rest_.subspan(2, std::min(extended_len, rest_.size() - 2));
    if (extended_len == 8 && !extended.empty() && extended[0] >= 0x80)
        return fail(frame, 1002);
    if (extended_len == 8 && extended.size() >= 6 && big_endian(extended.first(6)) == 0)
        return fail(frame, 1002); // at most 0xffff, whatever follows
    if (extended.size() < extended_len)
        return false;
    const uint64_t len = extended_len == 0 ? short_len : big_endian(extended);
    if (extended_len == 2 && len < 126)
        return fail(frame, 1002);

    frame = {.fin = fin,
             .opcode = opcode,
             .message_opcode = opcode == 0 ? message_opcode_ : opcode,
             .payload_len = len,
             .compressed = !is_control(opcode) && (opcode == 0 ? compressed_ : rsv1)};
    if (!is_control(opcode) && len > limits_.frame) {
        ended_ = true;
        frame.kind = PlainFrame::too_large;
        return true;
    }
    if (!is_control(opcode) && !frame.compressed && message_.size() + len > limits_.message)
        return fail(frame, 1009);
    return read_payload(frame, 2 + extended_len);
}

bool PlainReader::read_payload(PlainFrame &frame, size_t header_len)
{
    const size_t key_len = of_client_ ? 4 : 0;
    if (rest_.size() < header_len + key_len)
        return false;
    const Bytes behind = rest_.subspan(header_len + key_len);
    const Bytes there =
        behind.first(static_cast<size_t>(std::min<uint64_t>(frame.payload_len, behind.size())));
    const bool whole = there.size() == frame.payload_len;
    frame.payload =
        of_client_ ? plain_unmask(there, rest_.subspan(header_len, 4), 0) : text_of(there);
    if (!is_control(frame.opcode)) {
        const std::string message = frame.compressed ? "" : message_ + frame.payload;
        const TextVerdict verdict = judge_text(bytes_of(message));
        const bool cut = whole && frame.fin && verdict.whole_characters < message.size();
        if (frame.message_opcode == kText && (verdict.bad_at != TextVerdict::kNone || cut))
            return fail(frame, 1007);
        if (whole) {
            in_message_ = !frame.fin;
            message_opcode_ = frame.message_opcode;
            compressed_ = frame.compressed;
            message_ = frame.fin ? "" : message;
        }
    }
    if (!whole)
        return false;
    rest_ = behind.subspan(there.size());
    return true;
}

uint16_t plain_close_code(Bytes payload)
{
    if (payload.empty())
        return 1005;
    if (payload.size() == 1)
        return 0;
    const unsigned code = static_cast<unsigned>(payload[0] * 256 + payload[1]);
    const bool defined =
        code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
    const bool free = code >= 3000 && code <= 4999;
    const Bytes reason = payload.subspan(2);
    if ((!defined && !free) || !judge_text(reason).valid(reason.size()))
        return 0;
    return static_cast<uint16_t>(code);
}

} // namespace fuzz
