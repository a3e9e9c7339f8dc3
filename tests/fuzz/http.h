// http.h: takes a server's HTTP answer apart, strictly. Shared by the targets that produce
// one.
#pragma once

#include "target.h"

#include <string_view>

namespace fuzz {

struct Answer {
    int status = 0;
    std::string_view head; // status line and headers, with the blank line
    std::string_view rest; // the body, or what follows a 101
    bool has_length = false;
    size_t content_length = 0;
};

// Breaks a promise unless text, all that the server sent, begins with a whole and correct
// HTTP/1.1 head. The answer points into text.
Answer read_answer(std::string_view text);

} // namespace fuzz
