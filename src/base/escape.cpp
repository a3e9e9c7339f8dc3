// escape.cpp: see escape.h.
#include "base/escape.h"

#include "base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace websock {

namespace {

constexpr size_t kLongestPiece = 6; // bytes: \u202e

struct Character {
    size_t length = 0; // in bytes; 0: they are not a character
    uint32_t number = 0;
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The one that text begins with; text is not empty.
Character first_character(std::string_view text)
{
    const auto lead = static_cast<uint8_t>(text.front());
    const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const std::span bytes(reinterpret_cast<const uint8_t *>(text.data()),
                          std::min(length, text.size()));
    if (bytes.size() < length || !is_valid_utf8(bytes))
        return {};
    uint32_t number = length == 1 ? lead : lead & (0x7fu >> length);
    for (const uint8_t byte : bytes.subspan(1))
        number = number << 6 | (byte & 0x3fu);
    return {length, number};
}

// The C1 controls, the two line ends beyond ASCII, and Unicode's Bidi_Control.
bool is_unseen_control(uint32_t number)
{
    return (number >= 0x80 && number <= 0x9f) || number == 0x61c || number == 0x200e ||
           number == 0x200f || (number >= 0x2028 && number <= 0x202e) ||
           (number >= 0x2066 && number <= 0x2069);
}

// One character as it is shown, and how many bytes of text it stands for.
struct Piece {
    size_t taken;
    size_t length;
    char bytes[kLongestPiece + 1];
};

Piece first_piece(std::string_view text, char quote)
{
    const Character character = first_character(text);
    Piece piece{.taken = std::max<size_t>(character.length, 1), .length = 0, .bytes = {}};
    const char c = text.front();
    const char named = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\0';
    int written = 0;
    if (named != '\0' || c == '\\' || (c == quote && c != '\0'))
        written = std::snprintf(piece.bytes, sizeof piece.bytes, "\\%c", named != '\0' ? named : c);
    else if (character.length == 0 || character.number < 0x20 || character.number == 0x7f)
        written = std::snprintf(piece.bytes, sizeof piece.bytes, "\\x%02x",
                                unsigned{static_cast<unsigned char>(c)});
    else if (is_unseen_control(character.number))
        written = std::snprintf(piece.bytes, sizeof piece.bytes, "\\u%04x",
                                static_cast<unsigned>(character.number & 0xffff));
    else
        written = static_cast<int>(text.copy(piece.bytes, character.length));
    piece.length = static_cast<size_t>(written);
    return piece;
}

} // namespace

size_t escape(std::string_view text, std::span<char> out, char quote)
{
    size_t length = 0;
    while (!text.empty()) {
        const Piece piece = first_piece(text, quote);
        if (piece.length > out.size() - length)
            break;
        std::copy_n(piece.bytes, piece.length, out.begin() + static_cast<std::ptrdiff_t>(length));
        length += piece.length;
        text.remove_prefix(piece.taken);
    }
    return length;
}

std::string_view shortened(std::string_view text, size_t max)
{
    if (text.size() <= max)
        return text;
    constexpr size_t kMostContinuations = 3; // no character has more
    size_t end = max;
    while (end > 0 && max - end < kMostContinuations && is_continuation(text[end]))
        --end;
    return text.substr(0, is_continuation(text[end]) ? max : end);
}

} // namespace websock
