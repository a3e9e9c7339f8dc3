// compressibility.cpp: see compressibility.h.
#include "protocol/compressibility.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace websock {

namespace {

constexpr size_t kPieces = 8;
constexpr size_t kPiece = 32;
constexpr size_t kSample = kPieces * kPiece;

// Of 256 random bytes that are sampled, about 162 values are different; of text fewer than 60.
constexpr size_t kManyValues = 130;

} // namespace

bool looks_incompressible(std::span<const uint8_t> bytes)
{
    if (bytes.size() < kSample)
        return false; // too few to tell
    std::array<bool, 256> seen{};
    const size_t distance = (bytes.size() - kPiece) / (kPieces - 1);
    for (size_t i = 0; i < kPieces; ++i) {
        for (const uint8_t byte : bytes.subspan(i * distance, kPiece))
            seen[byte] = true;
    }
    return static_cast<size_t>(std::count(seen.begin(), seen.end(), true)) > kManyValues;
}

} // namespace websock
