// http.cpp: see http.h.
#include "http.h"

namespace fuzz {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_printable(std::string_view line)
{
    return std::all_of(line.begin(), line.end(),
                       [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

int read_status(std::string_view line)
{
    require(line.starts_with("HTTP/1.1 ") && line.size() > 13 && line[12] == ' ',
            "an answer has no status line");
    int status = 0;
    for (char c : line.substr(9, 3)) {
        require(is_digit(c), "a status is not a number");
        status = 10 * status + (c - '0');
    }
    return status;
}

void read_header(std::string_view line, Answer &answer)
{
    const size_t colon = line.find(": ");
    require(colon != line.npos && colon > 0, "a line of an answer is not a header");
    require(is_printable(line), "a header of an answer has control characters");
    if (line.substr(0, colon) != "Content-Length")
        return;
    require(!answer.has_length, "an answer has two lengths");
    answer.has_length = true;
    for (char c : line.substr(colon + 2)) {
        require(is_digit(c), "a length is not a number");
        answer.content_length = 10 * answer.content_length + static_cast<size_t>(c - '0');
    }
}

} // namespace

Answer read_answer(std::string_view text)
{
    const size_t end = text.find("\r\n\r\n");
    require(end != text.npos, "an answer's head has no end");
    Answer answer;
    answer.head = text.substr(0, end + 4);
    answer.rest = text.substr(end + 4);
    std::string_view lines = text.substr(0, end + 2);
    bool first = true;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find("\r\n"));
        if (first)
            answer.status = read_status(line);
        else
            read_header(line, answer);
        first = false;
        lines.remove_prefix(line.size() + 2);
    }
    return answer;
}

} // namespace fuzz
