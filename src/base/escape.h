// escape.h: bytes that somebody else has chosen, made fit for a terminal and a log file: one
// line, in which nothing acts and nothing hides. Bytes in, bytes out.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace websock {

// Writes text to out as valid UTF-8, and returns how many bytes that took: all of it, or
// as much as fits, without a piece of a character or of an escape. Escaped, as in C and so
// that no two texts look alike, are
//   control characters, DEL, and bytes that are not UTF-8 (\n, \x1b, \xff),
//   the controls U+0080 to U+009F, the line ends U+2028 and U+2029, and what turns the
//   direction of writing (\u202e), and
//   the backslash, and quote unless it is NUL.
size_t escape(std::string_view text, std::span<char> out, char quote = '\0');

// As much of text as max bytes hold, without a piece of a character at its end.
std::string_view shortened(std::string_view text, size_t max);

} // namespace websock
