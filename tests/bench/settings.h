// settings.h: the command line that the benchmark's clients share. The server is always on
// 127.0.0.1, so the tool cannot be aimed at anything else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bench {

// How far a session of churn goes before it ends abruptly.
enum class Until {
    secured, // the TLS handshake
    opened,  // the 101
    closed,  // an echo and the closing handshake: the whole session
};

struct Settings {
    uint16_t port = 0;
    pid_t server = 0;     // process whose CPU time is read; 0: none
    bool raw = false;     // bare TCP, for a floor; else WebSocket
    bool text = false;    // text messages; else binary
    bool tls = false;     // TLS 1.3
    bool resumed = false; // resumes an earlier TLS session; else full handshakes
    Until until = Until::closed;
    size_t connections = 64; // at most kMostConnections
    size_t payload = 20;     // bytes a message; for raw, still with the size of a frame
    size_t depth = 1;        // messages in flight on a connection
    double seconds = 3;      // measured, after the warm-up
    double warmup_seconds = 0.5;
    double rate = 10000;            // messages a second, for clients that keep a rate
    size_t deaf = 0;                // more connections, which are never read
    std::string message = "json2k"; // of the clients of compression; see texts.h
    bool compressed = false;        // permessage-deflate is offered, and must be accepted
    bool upload = false;            // the large message goes to the server; else it comes
    uint64_t bytes = 1 << 30;       // of a large message
    bool hold = false; // measures nothing; connections are used, then kept until stdin ends
};

inline constexpr size_t kMostConnections = 200000;
inline constexpr size_t kMostPayload = 16 << 20;
inline constexpr size_t kMostDepth = 256;
inline constexpr double kMostSeconds = 120;
inline constexpr double kMostBytes = 1e12;
inline constexpr double kMostRate = 1e6;

// Prints the options and exits with 2 if it does not understand the command line.
Settings parse_settings(int argc, char **argv, Settings settings = {});

// Says why on stderr, and exits with 1: a benchmark that saw a wrong byte has no result.
[[noreturn]] void give_up(const char *what);

} // namespace bench
