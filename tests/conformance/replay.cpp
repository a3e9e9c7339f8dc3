// replay.cpp: cases in the frame decoder alone; see replay.h.
#include "replay.h"

#include "deliveries.h"
#include "protocol/frame.h"
#include "styles.h"

#include <algorithm>
#include <span>

namespace conformance {

namespace {

constexpr size_t kPairs = 40;     // up to this length: in three at every pair of offsets
constexpr size_t kDense = 300;    // up to this length: in two at every offset
constexpr size_t kLarge = 100000; // up to this length: in two at 60 offsets

struct Outcome {
    std::vector<Message> messages = {};
    std::vector<std::string> pings = {};
    Ending ending = {};
    size_t known_after = 0; // how many bytes were there when the end was known
};

// As much of a server as the decoder makes.
class Endpoint
{
  public:
    Endpoint() { decoder_.deliver_parts(style() == Style::parts); }

    // bytes: all that have arrived so far, always in the same place.
    void arrived(std::span<uint8_t> bytes)
    {
        while (outcome_.ending.kind == Ending::open) {
            const websock::Decoded result = decoder_.decode(bytes.subspan(done_));
            if (result.kind == websock::Decoded::need_more)
                return;
            take(result);
            done_ += result.frame_len;
            if (outcome_.ending.kind != Ending::open)
                outcome_.known_after = bytes.size();
        }
    }

    const Outcome &outcome() const { return outcome_; }

  private:
    void take(const websock::Decoded &result)
    {
        if (result.kind == websock::Decoded::too_large)
            return fail(1009);
        if (result.kind == websock::Decoded::error)
            return fail(result.close_code);
        const std::string payload(result.payload, result.payload + result.payload_len);
        if (result.opcode == websock::Opcode::close)
            return close(result.bytes());
        if (result.opcode == websock::Opcode::ping)
            outcome_.pings.push_back(payload);
        if (websock::is_control(result.opcode))
            return;
        message_ += payload;
        if (!result.fin)
            return;
        outcome_.messages.push_back({static_cast<unsigned>(result.message_opcode), message_});
        message_.clear();
    }

    void close(std::span<const uint8_t> payload)
    {
        const websock::ClosePayload parsed = websock::parse_close(payload);
        if (!parsed.ok)
            return fail(parsed.close_code);
        outcome_.ending = {Ending::closed, parsed.code, std::string(parsed.reason)};
    }

    void fail(unsigned code) { outcome_.ending = {Ending::failed, code}; }

    websock::Decoder decoder_{{kMaxFrame, kMaxMessage}};
    size_t done_ = 0; // bytes of the frames that were taken
    std::string message_;
    Outcome outcome_;
};

Outcome run(const std::string &in, const Cuts &cuts)
{
    std::vector<uint8_t> memory(in.size(), 0xee); // what has not arrived yet
    Endpoint endpoint;
    size_t arrived = 0;
    for (size_t i = 0; i <= cuts.size(); i++) {
        const size_t end = i < cuts.size() ? cuts[i] : in.size();
        std::copy(in.data() + arrived, in.data() + end, memory.data() + arrived);
        arrived = end;
        endpoint.arrived(std::span(memory).first(arrived));
    }
    return endpoint.outcome();
}

std::string compare(const Case &wanted, const Outcome &got)
{
    if (got.messages != wanted.messages)
        return "other messages, " + std::to_string(got.messages.size());
    const bool stays = wanted.ending.kind == Ending::left;
    if (got.ending.kind != (stays ? Ending::open : wanted.ending.kind) ||
        got.ending.code != wanted.ending.code)
        return "it ends with " + std::to_string(got.ending.code);
    if (got.ending.reason != wanted.ending.reason)
        return "other reason: " + got.ending.reason;
    std::vector<std::string> pings;
    for (const Frame &frame : wanted.steps[0].out)
        if (frame.opcode == kPong)
            pings.push_back(frame.payload);
    return got.pings == pings ? "" : "other pings, " + std::to_string(got.pings.size());
}

std::vector<Cuts> all_cuts(size_t len)
{
    const size_t cuts = len <= kDense ? kDense : len <= kLarge ? 60 : 4;
    std::vector<Cuts> all = deliveries(len, {.cuts = cuts, .bytewise = kDense});
    if (len > kPairs)
        return all;
    for (size_t first = 1; first + 1 < len; first++)
        for (size_t second = first + 1; second < len; second++)
            all.push_back({first, second});
    return all;
}

Cuts bytewise(size_t len)
{
    Cuts cuts;
    for (size_t at = 1; at < len; at++)
        cuts.push_back(at);
    return cuts;
}

} // namespace

std::string replay(const Case &wanted)
{
    const std::string &in = wanted.steps[0].in;
    for (const Cuts &cuts : all_cuts(in.size()))
        if (std::string wrong = compare(wanted, run(in, cuts)); !wrong.empty())
            return name_of(cuts) + ": " + wrong;
    if (wanted.ending.kind != Ending::failed || in.size() > kDense)
        return "";
    const size_t known_after = run(in, bytewise(in.size())).known_after;
    return known_after == wanted.known_after
               ? ""
               : "known after " + std::to_string(known_after) + " bytes, not " +
                     std::to_string(wanted.known_after);
}

} // namespace conformance
