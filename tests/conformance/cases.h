// cases.h: what a conformance case is, and the functions its tables are written with: frames
// that a client sends, good or bad, and frames that the server must answer with. The tables
// are the *_cases.cpp files; how a case is tried is in deliveries.h, exchange.h and replay.h.
//
// Written from RFC 6455 alone, without the library's own framing. Everything that independent
// suites test is here. By the numbers of Autobahn: framing (1), pings and pongs (2), reserved
// bits (3), opcodes (4), masks and lengths in frame_cases.cpp; fragmentation (5, 10) in
// fragment_cases.cpp; UTF-8 (6) in utf8_cases.cpp; closing (7) in close_cases.cpp; limits (9)
// in limit_cases.cpp; compression (12, 13) in compression_cases.cpp, and what is no DEFLATE in
// corrupt_cases.cpp; and the opening handshake in handshake_cases.cpp and offer_cases.cpp.
#pragma once

#include "tests/support/wire.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conformance {

using test::Frame;

// The limits of the server that every case is tried against.
inline constexpr size_t kMaxFrame = 70000;
inline constexpr size_t kMaxMessage = 200000;

using Sizes = std::vector<size_t>; // for loops over a few of them
using Numbers = std::vector<unsigned>;

inline constexpr unsigned kContinuation = 0x0, kText = 0x1, kBinary = 0x2;
inline constexpr unsigned kClose = 0x8, kPing = 0x9, kPong = 0xa;

// The frames a client may send, as bytes.
namespace client {

// A frame in which everything can be chosen, and so can be wrong.
struct Any {
    bool fin = true;
    unsigned rsv = 0; // 4: RSV1, 2: RSV2, 1: RSV3
    unsigned opcode = kText;
    std::string payload = {};
    bool masked = true;
    int length_bytes = -1;                  // after the 7 bits: 0, 2 or 8. -1: the shortest form
    std::optional<uint64_t> announced = {}; // the length in the header, if not that of payload
    uint32_t key = 0x37fa213d;              // from the examples in RFC 6455 5.7
};
std::string frame(const Any &any);

std::string text(std::string_view payload);
std::string binary(std::string_view payload);
std::string fragment(unsigned opcode, std::string_view payload); // the first of several
std::string more(std::string_view payload);                      // one in the middle
std::string last(std::string_view payload);
std::string ping(std::string_view payload = "");
std::string pong(std::string_view payload = "");
std::string close(); // without a code
std::string close(unsigned code, std::string_view reason = "");
std::string close_with(std::string_view payload);

} // namespace client

// The frames the server must send.
namespace server {

Frame text(std::string_view payload);
Frame binary(std::string_view payload);
Frame pong(std::string_view payload = "");
Frame close(); // without a code
Frame close(unsigned code, std::string_view reason = "");

} // namespace server

struct Message {
    unsigned opcode;
    std::string payload;

    bool operator==(const Message &) const = default;
};

// What the client sends at once, and the answers that come before it sends the next.
struct Step {
    std::string in;
    std::vector<Frame> out = {};
};

struct Ending {
    enum Kind {
        open,   // the connection goes on as before
        failed, // the server sends a Close with this code and ends; onclose is told 1006
        closed, // the connection ends; onclose is told this code and reason
        left,   // the server waits for more; the client ends its side, and onclose is told 1006
    };
    Kind kind = open;
    unsigned code = 0;
    std::string reason = {};
    bool reason_is_ours = false; // closed, with 1006: any words of the library will do
};

struct Case {
    std::string section; // of RFC 6455, or of RFC 7692 if it has a client that compresses
    std::string sentence;
    std::vector<Step> steps = {};
    Ending ending = {};
    std::vector<Message> messages = {}; // what onmessage gets
    // Ending::failed: after how many bytes of the last step the server must know. The case is
    // also tried without the bytes after them: no verdict may wait for bytes it does not need.
    size_t known_after = 0;
    // What the client offers (RFC 7692); "": no compression. Such a case is not replayed.
    std::string extensions = {};
};

// Messages that the server echoes, and perhaps pings that it answers.
Case echoes(std::string section, std::string sentence, std::string in, std::vector<Frame> out);

// Bytes that must make the server fail the connection. known_after 0: after all of them.
Case fails(std::string section, std::string sentence, std::string in, unsigned code,
           size_t known_after = 0);

// The same after messages or fragments, which are answered first.
Case fails_behind(std::string section, std::string sentence, std::string before,
                  std::vector<Frame> out, const std::string &in, unsigned code,
                  size_t known_after = 0);

// A Close frame from the client, perhaps among other frames, and the answers.
Case closes(std::string section, std::string sentence, std::string in, std::vector<Frame> out,
            unsigned code, std::string reason = "");

// The beginning of a message, with which nothing is wrong.
Case waits(std::string section, std::string sentence, std::string in, std::vector<Frame> out = {});

// The same cases, of a client that offers this.
std::vector<Case> offering(const std::string &extensions, std::vector<Case> cases);

std::string repeated(std::string_view part, size_t times);

// "c3 28", for the names of cases.
std::string hex(std::string_view bytes);

} // namespace conformance
