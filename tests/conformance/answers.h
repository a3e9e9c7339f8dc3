// answers.h: compares the frames that come from the server with those a case wants. No sockets.
#pragma once

#include "cases.h"

namespace conformance {

// "opcode 1, 5 bytes: 48 65 6c 6c 6f"
std::string name_of(const Frame &frame);

// Which of the frames a step wants have come. Data and Close frames must be the same, in the
// same order. There may be fewer pongs than pings, if the latest ping is answered (RFC 6455
// 5.5.3), and pongs may come sooner than other answers, but not later. Throws
// std::runtime_error, which says what is wrong.
class Answers
{
  public:
    // wanted must live longer.
    explicit Answers(const std::vector<Frame> &wanted) : wanted_(wanted) {}

    void take(const Frame &frame);

    // Whether everything that must come has come.
    bool complete() const;

    // For when a Close frame comes that is not among those wanted: nothing can follow it.
    void expect_complete() const;

    // A message that is broken off.
    bool wants_fragment() const { return data_ < wanted_.size() && !wanted_[data_].fin; }

    bool wants_close() const { return !wanted_.empty() && wanted_.back().opcode == kClose; }

  private:
    size_t next() const; // the first frame still to come that is not a pong
    size_t find_pong(const Frame &frame) const;
    bool last_pong_before(size_t end) const; // whether it has come, if there is one

    const std::vector<Frame> &wanted_;
    size_t data_ = 0; // one past the last data or Close frame that has come
    size_t pong_ = 0; // one past the last pong that has come
};

} // namespace conformance
