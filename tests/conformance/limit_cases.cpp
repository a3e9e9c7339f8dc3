// limit_cases.cpp: RFC 6455 10.4: frames and messages up to the server's limits and beyond
// them; and large messages, and many at once, within the limits.
#include "exchange.h"
#include "styles.h"

#include <doctest/doctest.h>

using namespace conformance;

namespace {

std::string number(size_t n) { return std::to_string(n); }

// The header of a frame with which the limit is exceeded. By design a message that comes in parts
// has no limit: the server waits for the rest of the frame.
Case exceeds(const std::string &name, const std::string &before, std::vector<Frame> out,
             const std::string &in, size_t header_len)
{
    if (has_no_limits())
        return waits("10.4", name + ": taken in parts", before + in, std::move(out));
    return fails_behind("10.4", name, before, std::move(out), in, 1009, header_len);
}

} // namespace

// RFC 6455 10.4: "... MUST protect themselves against exceeding those limits."
TEST_CASE("10.4: a frame up to the limit is taken, one byte more fails with 1009 at its header")
{
    using namespace client;
    std::vector<Case> cases;
    const std::string most(kMaxFrame, '*');
    cases.push_back(echoes("10.4", "text at the limit", text(most), {server::text(most)}));
    cases.push_back(echoes("10.4", "binary at the limit", binary(most), {server::binary(most)}));
    try_cases(cases, {.cuts = 20, .bytewise = 0});
    cases.clear();
    for (unsigned opcode : {kText, kBinary})
        for (uint64_t len : {uint64_t{kMaxFrame} + 1, uint64_t{1} << 20, uint64_t{0xffffffff},
                             uint64_t{1} << 32, (uint64_t{1} << 62) + 1, ~uint64_t{0} >> 1}) {
            const std::string name = std::to_string(len) + " bytes, opcode " + number(opcode);
            const std::string begun =
                frame({.opcode = opcode, .payload = std::string(20, 'x'), .announced = len});
            cases.push_back(exceeds(name, "", {}, begun, 10));
            const std::string first = frame({.fin = false, .opcode = opcode, .announced = len});
            cases.push_back(exceeds(name + ", a fragment", "", {}, first, 10));
        }
    cases.push_back(exceeds("in a continuation frame", fragment(kText, "x"), {},
                            frame({.opcode = kContinuation, .announced = kMaxFrame + 1}), 10));
    cases.push_back(exceeds("behind a message", text("good"), {server::text("good")},
                            frame({.announced = kMaxFrame + 1}), 10));
    try_cases(cases);
}

TEST_CASE("10.4: a message up to the limit is taken, one byte more fails with 1009")
{
    using namespace client;
    const std::string part(50000, '*');
    const std::string whole(kMaxMessage, '*');
    REQUIRE(4 * part.size() == kMaxMessage);
    const std::string three = fragment(kText, part) + more(part) + more(part);
    try_cases({echoes("10.4", "at the limit", three + last(part), {server::text(whole)}),
               echoes("10.4", "at the limit, with empty fragments",
                      three + more("") + more(part) + more("") + last(""), {server::text(whole)})},
              {.cuts = 10, .bytewise = 0});
    // The length that a frame announces counts, not how much of it has come.
    const std::string full = three + more(part);
    const std::string one_more = frame({.opcode = kContinuation, .announced = 1});
    const std::string far_more = frame({.opcode = kContinuation, .announced = kMaxFrame});
    try_cases({exceeds("one byte more", full, {}, one_more, 2),
               exceeds("a frame at its limit more", three, {}, far_more, 10)},
              {.cuts = 10, .bytewise = 0});
}

TEST_CASE("10.4: frames and messages beyond the limits come back if they come in parts")
{
    if (!has_no_limits())
        return;
    using namespace client;
    const std::string large(2 * kMaxMessage, '*');
    std::vector<Case> cases;
    for (unsigned opcode : {kText, kBinary}) {
        const Frame echo = opcode == kText ? server::text(large) : server::binary(large);
        cases.push_back(echoes("10.4", "a frame, opcode " + number(opcode),
                               frame({.opcode = opcode, .payload = large}), {echo}));
        const std::string half = large.substr(kMaxMessage);
        cases.push_back(echoes("10.4", "two fragments, opcode " + number(opcode),
                               fragment(opcode, half) + last(half), {echo}));
    }
    try_cases(cases, {.cuts = 10, .bytewise = 0});
}

TEST_CASE("5.2: a large message comes back as it went, however it arrives")
{
    std::vector<Case> cases;
    std::string bytes(kMaxFrame, '\0');
    for (size_t i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<char>(i * 31 + i / 251);
    cases.push_back(echoes("5.2", "binary", client::binary(bytes), {server::binary(bytes)}));
    std::string text;
    while (text.size() + 13 < kMaxFrame)
        text += "\xce\xba\xe1\xbd\xb9\xcf\x83\xf0\x90\x8d\x88 a";
    cases.push_back(echoes("5.2", "text", client::text(text), {server::text(text)}));
    try_cases(cases, {.cuts = 100, .bytewise = 0});
}

// RFC 6455 6.1: "To _Send a WebSocket Message_ ... MUST perform the following steps."
TEST_CASE("5.6: a thousand messages in one go are echoed one by one, in order")
{
    std::vector<Case> cases;
    for (size_t len : Sizes{0, 1, 16, 64, 125, 126, 256, 1024, 4096}) {
        std::string in;
        std::vector<Frame> out;
        for (size_t i = 0; i < 1000; i++) {
            std::string payload = number(i);
            payload.resize(len, '.');
            in += client::text(payload);
            out.push_back(server::text(payload));
        }
        cases.push_back(echoes("5.6", number(len) + " bytes each", in, out));
    }
    try_cases(cases, {.cuts = 2, .bytewise = 0});
}
