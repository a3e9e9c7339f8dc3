// raw_echo.h: what the two floors, thread_floor.cpp and epoll_floor.cpp, share: bare TCP, and
// which of the received bytes are echoed. A floor knows no protocol. But a server's frames are
// four bytes shorter than a client's, so it is told both sizes and leaves four bytes out: as
// many bytes go each way as with WebSocket.
//   PROGRAM REQUEST_BYTES ANSWER_BYTES [MILLISECONDS to block before each answer]
// Both print "port N" and serve until they are killed.
#pragma once

#include <chrono>
#include <cstddef>

namespace bench {

constexpr size_t kReadBytes = 64 * 1024;

struct RawEcho {
    size_t request_bytes;
    size_t answer_bytes;
    std::chrono::milliseconds blocks;
};

// Exits with 2 when there is something it does not understand.
RawEcho parse_raw_echo(int argc, char **argv);

// What comes on one connection.
class RawRequests
{
  public:
    explicit RawRequests(const RawEcho &echo) : echo_(echo) {}

    // Removes the end of each request from the n bytes that were read, blocks for each
    // request that is complete with them, and returns how many bytes are left to go back.
    size_t answer(char *bytes, size_t n);

  private:
    size_t keep_answers(char *bytes, size_t n, size_t &ended);

    const RawEcho &echo_;
    size_t position_ = 0; // within a request
};

// A listening socket on a free port of 127.0.0.1; prints "port N". Exits if there is none.
int listen_and_say_port();

// -1: there is none.
int accept_one(int listener, int flags);

} // namespace bench
