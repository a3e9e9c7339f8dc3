// answers.cpp: see answers.h.
#include "answers.h"

#include <stdexcept>

namespace conformance {

namespace {

[[noreturn]] void wrong(const std::string &what) { throw std::runtime_error(what); }

bool same(const Frame &a, const Frame &b)
{
    return a.fin == b.fin && a.opcode == b.opcode && a.payload == b.payload;
}

bool is_pong(const Frame &frame) { return frame.opcode == kPong; }

} // namespace

std::string name_of(const Frame &frame)
{
    constexpr size_t kShown = 40;
    std::string name = "opcode " + std::to_string(frame.opcode) + (frame.fin ? "" : " without FIN");
    name += ", " + std::to_string(frame.payload.size()) + " bytes: ";
    return name + hex(frame.payload.substr(0, kShown));
}

void Answers::take(const Frame &frame)
{
    const size_t found = is_pong(frame) ? find_pong(frame) : next();
    if (found == wanted_.size() || !same(wanted_[found], frame))
        wrong("unexpected: " + name_of(frame));
    if (is_pong(frame)) {
        pong_ = found + 1;
        return;
    }
    if (!last_pong_before(found))
        wrong("a pong is late, behind: " + name_of(frame));
    data_ = found + 1;
}

bool Answers::complete() const
{
    return next() == wanted_.size() && last_pong_before(wanted_.size());
}

void Answers::expect_complete() const
{
    if (!last_pong_before(wanted_.size()))
        wrong("a pong is missing");
    if (next() != wanted_.size())
        wrong("missing: " + name_of(wanted_[next()]));
}

size_t Answers::next() const
{
    size_t at = data_;
    while (at < wanted_.size() && is_pong(wanted_[at]))
        at++;
    return at;
}

size_t Answers::find_pong(const Frame &frame) const
{
    size_t at = pong_;
    while (at < wanted_.size() && !same(wanted_[at], frame))
        at++;
    return at;
}

bool Answers::last_pong_before(size_t end) const
{
    size_t at = end;
    while (at > 0 && !is_pong(wanted_[at - 1]))
        at--;
    return at <= pong_;
}

} // namespace conformance
