// mask.cpp: the masking of RFC 6455 5.3, which is the only work done on every
// byte a client sends besides checking text.
#include "frame.h"

#include <cstring>

namespace websock {

namespace {

inline uint64_t load(const uint8_t *from)
{
    uint64_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

inline void store(uint8_t *to, uint64_t word) { std::memcpy(to, &word, sizeof word); }

} // namespace

// Whatever the block size, a block is loaded whole before it is stored, and dst
// is not above src: so a store never reaches a byte that is still to be loaded.
void unmask(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], size_t phase)
{
    uint8_t rotated[8];
    for (size_t i = 0; i < sizeof rotated; ++i) {
        rotated[i] = key[(phase + i) % 4];
    }
    const uint64_t mask = load(rotated);

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
    for (size_t i = 0; i < len; ++i) {
        dst[i] = static_cast<uint8_t>(src[i] ^ rotated[i]);
    }
}

} // namespace websock
