// messages.h: what the fuzz targets of compressed messages make of their input. No promises.
#pragma once

#include "target.h"

#include <algorithm>
#include <string>

namespace fuzz {

// A text that a few bytes of the input describe: pieces of the input itself, repeated, or noise.
inline std::string make_text(Input &input)
{
    std::string text;
    const size_t pieces = input.byte() % 5;
    for (size_t i = 0; i < pieces; ++i) {
        const uint8_t kind = input.byte();
        const size_t len = size_t{input.byte()} << (kind & 7);
        const std::string piece = text_of(input.take(kind >> 4));
        auto noise = static_cast<uint32_t>(len + kind);
        for (size_t at = 0; at < len; ++at) {
            noise = noise * 1664525 + 1013904223;
            text += piece.empty() ? static_cast<char>(noise >> 24) : piece[at % piece.size()];
        }
    }
    return text;
}

} // namespace fuzz
