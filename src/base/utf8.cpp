// utf8.cpp: the validator as an automaton whose step is one load and one shift,
// and a shortcut past blocks of ASCII. Knows bytes only.
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace websock {

namespace {

// A state is the position of a six-bit slot in a 64-bit row. There is a row for each byte value,
// and its slot at the present state holds the next state. So a step is a shift of a row, and no
// branch depends on the text: mixed scripts, which a branch predictor cannot foresee, cost no
// more than a single one.
enum State : uint8_t {
    between = 0, // two characters; Utf8Validator::complete() asks for it
    rejected = 6,
    one_left = 12,
    two_left = 18,
    three_left = 24,
    after_e0 = 30,
    after_ed = 36,
    after_f0 = 42,
    after_f4 = 48,
};
constexpr uint64_t kSlotMask = 63;

struct Transition {
    State from;
    uint8_t first, last; // of the bytes that take it
    State to;
};

// The grammar of RFC 3629 section 4. What is not listed is rejected.
constexpr Transition kTransitions[] = {
    {between, 0x00, 0x7f, between},
    {between, 0xc2, 0xdf, one_left}, // c0 and c1 would be overlong
    {between, 0xe0, 0xe0, after_e0},
    {between, 0xe1, 0xec, two_left},
    {between, 0xed, 0xed, after_ed},
    {between, 0xee, 0xef, two_left},
    {between, 0xf0, 0xf0, after_f0},
    {between, 0xf1, 0xf3, three_left},
    {between, 0xf4, 0xf4, after_f4},
    {after_e0, 0xa0, 0xbf, one_left}, // below: overlong
    {after_ed, 0x80, 0x9f, one_left}, // above: surrogates
    {after_f0, 0x90, 0xbf, two_left}, // below: overlong
    {after_f4, 0x80, 0x8f, two_left}, // above: past U+10FFFF
    {three_left, 0x80, 0xbf, two_left},
    {two_left, 0x80, 0xbf, one_left},
    {one_left, 0x80, 0xbf, between},
};

constexpr std::array<uint64_t, 256> make_rows()
{
    std::array<uint64_t, 256> rows{};
    for (uint64_t &row : rows) {
        for (unsigned slot = between; slot <= after_f4; slot += 6) {
            row |= uint64_t{rejected} << slot;
        }
    }
    for (const Transition &transition : kTransitions) {
        for (unsigned byte = transition.first; byte <= transition.last; ++byte) {
            rows[byte] &= ~(kSlotMask << transition.from);
            rows[byte] |= uint64_t{transition.to} << transition.from;
        }
    }
    return rows;
}

constexpr std::array<uint64_t, 256> kRows = make_rows();

// The bits above a state's six are left over from its row, and masked away only here.
inline uint64_t step(uint64_t state, uint8_t byte) { return kRows[byte] >> (state & kSlotMask); }

inline uint64_t step_over(uint64_t state, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        state = step(state, bytes[i]);
    }
    return state & kSlotMask;
}

constexpr size_t kBlock = 32;
constexpr size_t kWord = 8;
constexpr uint64_t kHighBits = 0x8080808080808080;

template<class Word> Word load(const uint8_t *from)
{
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

inline bool is_ascii_block(const uint8_t *block)
{
    uint64_t words[kBlock / kWord];
    std::memcpy(words, block, kBlock);
    return ((words[0] | words[1] | words[2] | words[3]) & kHighBits) == 0;
}

inline bool is_ascii_word(const uint8_t *word) { return (load<uint64_t>(word) & kHighBits) == 0; }

// Of fewer bytes than a word has.
inline bool is_ascii_rest(const uint8_t *rest, size_t len)
{
    uint64_t bits = 0;
    if ((len & 4) != 0) {
        bits = load<uint32_t>(rest);
        rest += 4;
    }
    if ((len & 2) != 0) {
        bits |= load<uint16_t>(rest);
        rest += 2;
    }
    if ((len & 1) != 0) {
        bits |= *rest;
    }
    return (bits & kHighBits) == 0;
}

} // namespace

bool Utf8Validator::feed(std::span<const uint8_t> bytes)
{
    const uint8_t *at = bytes.data();
    size_t left = bytes.size();
    uint64_t state = state_;
    for (; left >= kBlock; at += kBlock, left -= kBlock) {
        if (state == between && is_ascii_block(at)) {
            continue;
        }
        state = step_over(state, at, kBlock);
        if (state == rejected) {
            state_ = rejected;
            return false;
        }
    }
    for (; left >= kWord; at += kWord, left -= kWord) {
        if (state != between || !is_ascii_word(at)) {
            state = step_over(state, at, kWord);
        }
    }
    if (state != between || !is_ascii_rest(at, left)) {
        state = step_over(state, at, left);
    }
    state_ = static_cast<uint8_t>(state);
    return state_ != rejected;
}

bool is_valid_utf8(std::span<const uint8_t> bytes)
{
    Utf8Validator validator;
    return validator.feed(bytes) && validator.complete();
}

size_t utf8_prefix(std::span<const uint8_t> text, size_t max)
{
    size_t end = std::min(max, text.size());
    size_t whole = 0;
    uint64_t state = between;
    for (size_t i = 0; i < end && state != rejected; ++i) {
        state = step(state, text[i]) & kSlotMask;
        if (state == between) {
            whole = i + 1;
        }
    }
    return whole;
}

} // namespace websock
