// styles.h: the servers that cases are tried against. They echo, in one of the styles in which a
// program can get its messages: TEST_STYLE in the environment chooses callbacks (also if it is
// unset), session or parts. Every case is tried in each of them. Where parts differ by design,
// which is where the length of a frame or a message is limited, the case says so.
#pragma once

#include "tests/support/server.h"

namespace conformance {

enum class Style {
    callbacks, // onmessage
    session,   // onsession and libwebsock_receive
    parts,     // onpart, which sends each part back as a fragment
};

// Throws std::runtime_error if TEST_STYLE is something else.
Style style();

// No frame and no message is too large.
inline bool has_no_limits() { return style() == Style::parts; }

// At the message "/close CODE REASON" the server does not echo, but closes; then it tries to
// send a message all the same.
inline constexpr const char *kCloseCommand = "/close ";

// At this message it sends the first fragment of another, closes with 1000, and then tries to
// send the last fragment.
inline constexpr const char *kBreakOffCommand = "/break off";
inline constexpr const char *kBrokenOff = "first";

// For the cases in the tables.
test::Behaviour behaviour_of_cases();

// The same behaviour, which has an onmessage, in the style of this run. Every message is recorded,
// whatever the style. In parts only commands reach onmessage; the rest is echoed as it comes.
test::Behaviour in_style(test::Behaviour behaviour);

} // namespace conformance
