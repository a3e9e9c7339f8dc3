// answers.h: the frames a case wants of the server, held against those that come. No sockets.
#pragma once

#include "cases.h"

namespace conformance {

// "opcode 1, 5 bytes: 48 65 6c 6c 6f"
std::string name_of(const Frame &frame);

// What has come of the frames a step wants. Data and Close frames: those, in that order.
// Pongs may be fewer than pings, if the latest is answered (RFC 6455 5.5.3), and may come
// sooner than other answers, but not later. What is wrong is thrown, as std::runtime_error.
class Answers
{
  public:
    // wanted must live longer.
    explicit Answers(const std::vector<Frame> &wanted) : wanted_(wanted) {}

    void take(const Frame &frame);

    // Whether all that must come has come.
    bool complete() const;

    // At a Close frame that is not among those wanted: nothing more can come.
    void expect_complete() const;

    bool wants_close() const { return !wanted_.empty() && wanted_.back().opcode == kClose; }

  private:
    size_t next() const; // the first one that is no pong, behind those that have come
    size_t find_pong(const Frame &frame) const;
    bool last_pong_before(size_t end) const; // or there was none to come

    const std::vector<Frame> &wanted_;
    size_t data_ = 0; // behind the last data or Close frame that has come
    size_t pong_ = 0; // behind the last pong that has come
};

} // namespace conformance
