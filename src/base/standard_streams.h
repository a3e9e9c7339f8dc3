// standard_streams.h: prints lines to the standard output and the standard error. The library
// does not own these: the program prints there, too, and whoever reads them may be slow or gone.
// What is printed, and when, is decided elsewhere.
#pragma once

#include <string_view>

namespace websock {

// Both write to STDOUT_FILENO or STDERR_FILENO directly. They do not flush what the program has
// printed through stdio, and never raise SIGPIPE. They wait at most 10 ms for a reader, and not
// at all for one that did not take the last line. What the reader does not take is lost and
// counted; before the next line that gets through, a line says how many were lost. Any thread;
// they take no lock and allocate nothing.

// One line, formatted as by printf(3), without its newline; cut at PIPE_BUF.
void print_line(int stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Text of any length, with its newlines. It counts as one line.
void print_text(int stream, std::string_view text);

} // namespace websock
