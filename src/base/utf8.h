// utf8.h: an incremental UTF-8 validator (RFC 3629). Bytes in, verdict out; it knows nothing of
// frames, sockets or threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace websock {

class Utf8Validator
{
  public:
    // Feeds the next bytes of a text. False: one of the bytes so far cannot be part of valid
    // UTF-8. That is known at the first such byte, not at the end of its sequence. After it, the
    // validator must not be fed again before reset().
    bool feed(std::span<const uint8_t> bytes);

    // Whether the bytes fed so far end between two characters.
    bool complete() const { return state_ == 0; }

    void reset() { *this = Utf8Validator(); }

  private:
    uint8_t state_ = 0; // of the automaton in utf8.cpp; 0 is between two characters
};

bool is_valid_utf8(std::span<const uint8_t> bytes);

// The length of the longest prefix of text that is at most max bytes long, is
// valid UTF-8 and cuts no character.
size_t utf8_prefix(std::span<const uint8_t> text, size_t max);

} // namespace websock
