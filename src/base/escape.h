// escape.h: makes bytes that somebody else has chosen fit for a terminal and a log file. They
// become one line in which nothing controls the terminal and nothing is hidden. Bytes in, bytes
// out.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace websock {

// Writes text to out as valid UTF-8, and returns how many bytes that took. What does not fit is
// left out, in whole characters and whole escapes. These are escaped, as in C, so that no two
// texts look alike:
//   control characters, DEL, and bytes that are not UTF-8 (\n, \x1b, \xff),
//   the controls U+0080 to U+009F, the line ends U+2028 and U+2029, and what changes the
//   direction of writing (\u202e), and
//   the backslash, and quote unless that is NUL.
size_t escape(std::string_view text, std::span<char> out, char quote = '\0');

// As much of text as fits into max bytes, in whole characters.
std::string_view shortened(std::string_view text, size_t max);

} // namespace websock
