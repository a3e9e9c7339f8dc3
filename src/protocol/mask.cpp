// mask.cpp: the masking of RFC 6455 5.3. Besides checking text, this is the only work
// done on every byte a client sends.
#include "protocol/frame.h"

#include <bit>
#include <cstring>

namespace websock {

namespace {

template<class Word = uint64_t> Word load(const uint8_t *from)
{
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

template<class Word> void store(uint8_t *to, Word word) { std::memcpy(to, &word, sizeof word); }

// The key as it stands in memory, rotated so that byte phase % 4 comes first.
uint32_t rotated(const uint8_t key[4], size_t phase)
{
    const auto bits = static_cast<int>(8 * (phase % 4));
    const uint32_t word = load<uint32_t>(key);
    return std::endian::native == std::endian::little ? std::rotr(word, bits)
                                                      : std::rotl(word, bits);
}

} // namespace

// A block of any size is loaded whole before it is stored, and dst is not above
// src. So no store reaches a byte that is still to be loaded.
void unmask(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], size_t phase)
{
    const uint32_t half = rotated(key, phase);
    const uint64_t mask = half | uint64_t{half} << 32;

    for (; len >= 32; dst += 32, src += 32, len -= 32) {
        const uint64_t a = load(src) ^ mask;
        const uint64_t b = load(src + 8) ^ mask;
        const uint64_t c = load(src + 16) ^ mask;
        const uint64_t d = load(src + 24) ^ mask;
        store(dst, a);
        store(dst + 8, b);
        store(dst + 16, c);
        store(dst + 24, d);
    }
    for (; len >= 8; dst += 8, src += 8, len -= 8) {
        store(dst, load(src) ^ mask);
    }
    if (len >= 4) {
        store(dst, load<uint32_t>(src) ^ half);
        dst += 4, src += 4, len -= 4;
    }
    uint8_t last[4];
    store(last, half);
    for (size_t i = 0; i < len; ++i) {
        dst[i] = static_cast<uint8_t>(src[i] ^ last[i]);
    }
}

} // namespace websock
