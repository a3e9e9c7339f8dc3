// standard_streams.h: lines for the standard output and the standard error, which the
// library does not own: the program prints there, too, and whoever reads may be slow, or gone.
// What is printed, and when, is decided elsewhere.
#pragma once

#include <string_view>

namespace websock {

// Write to STDOUT_FILENO or STDERR_FILENO, past stdio: what the program has printed is not
// flushed. They never raise SIGPIPE, and wait at most 10 ms for a reader, and for one that
// has let a line go, not at all: what it does not take is lost, and counted, and the next
// line that gets through follows one that says how many were. Any thread; no lock, no memory.

// One line, formatted as by printf(3), without its newline; cut at PIPE_BUF.
void print_line(int stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Text of any length, with its newlines. It counts as one line.
void print_text(int stream, std::string_view text);

} // namespace websock
