// compressibility.cpp: see compressibility.h.
#include "compression/compressibility.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace websock {

namespace {

constexpr size_t kPieces = 8;
constexpr size_t kPiece = 32;
constexpr size_t kSample = kPieces * kPiece;
constexpr size_t kLeast = 64; // fewer are too few to tell

// How many different values so many random bytes have on average: 57 of 64, 162 of 256. Text has
// less than a third of that, base64 two thirds or less.
constexpr size_t random_values(size_t bytes) { return bytes - bytes * bytes / 700; }

} // namespace

bool looks_incompressible(std::span<const uint8_t> bytes)
{
    if (bytes.size() < kLeast)
        return false;
    const size_t sample = std::min(bytes.size(), kSample);
    const size_t pieces = sample / kPiece;
    const size_t distance = (bytes.size() - kPiece) / (pieces - 1);
    std::array<bool, 256> seen{};
    for (size_t i = 0; i < pieces; ++i) {
        for (const uint8_t byte : bytes.subspan(i * distance, kPiece))
            seen[byte] = true;
    }
    const auto values = static_cast<size_t>(std::count(seen.begin(), seen.end(), true));
    return values > random_values(pieces * kPiece) * 4 / 5;
}

} // namespace websock
