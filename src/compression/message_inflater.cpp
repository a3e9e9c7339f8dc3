// message_inflater.cpp: see message_inflater.h.
#include "compression/message_inflater.h"

#include <algorithm>
#include <utility>

namespace websock {

// RFC 7692 7.2.2: "Otherwise, the server MUST use a 32,768-byte LZ77 sliding window ..."
MessageInflater::MessageInflater(InflaterPool &pool, int window_bits, bool takeover,
                                 uint64_t max_message)
    : pool_(pool), window_bits_(window_bits), max_message_(max_message),
      history_(takeover ? size_t{1} << window_bits : 0)
{
}

MessageInflater::Result MessageInflater::feed(std::span<const uint8_t> payload, bool fin,
                                              const Take &take)
{
    bytes_in_ += payload.size();
    if (payload.empty())
        return fin ? end_message() : Result::ok;
    if (!state_) {
        state_ = pool_.take(window_bits_);
        // RFC 7692 7.2.2: "Otherwise, the server MUST decompress each new message using ..."
        state_->start(history_.bytes());
    }
    return inflate(payload, fin, take);
}

MessageInflater::Result MessageInflater::resume(const Take &take)
{
    is_paused_ = false;
    return inflate(rest_, fin_, take);
}

MessageInflater::Result MessageInflater::inflate(std::span<const uint8_t> payload, bool fin,
                                                 const Take &take)
{
    fin_ = fin;
    const Result result = inflate_all(payload, take);
    if (result == Result::ok)
        return fin ? end_message() : Result::ok;
    is_paused_ = result == Result::paused;
    if (!is_paused_)
        state_.reset();
    return result;
}

MessageInflater::Result MessageInflater::inflate_all(std::span<const uint8_t> payload,
                                                     const Take &take)
{
    for (;;) {
        // One byte more than it may have, to see whether it has more.
        const uint64_t left = bytes_left();
        const size_t most =
            static_cast<size_t>(std::min<uint64_t>(left, Inflater::kStride - 1)) + 1;
        const Inflater::Step step = state_->step(payload, most);
        if (const Result result = deliver(state_->output(), take); result != Result::ok)
            return result;
        if (step == Inflater::Step::corrupt)
            return Result::corrupt;
        const bool pauses = std::exchange(pauses_, false);
        if (step == Inflater::Step::need)
            return Result::ok;
        if (pauses) {
            rest_ = payload;
            return Result::paused;
        }
    }
}

// The limit may have come down below what has come.
uint64_t MessageInflater::bytes_left() const
{
    return max_message_ - std::min(message_len_, max_message_);
}

MessageInflater::Result MessageInflater::deliver(std::span<const uint8_t> plain, const Take &take)
{
    if (plain.empty())
        return Result::ok;
    if (plain.size() > bytes_left())
        return Result::too_big;
    message_len_ += plain.size();
    bytes_out_ += plain.size();
    history_.append(plain);
    return take(plain) ? Result::ok : Result::stopped;
}

// A message without a byte of payload is empty. zlib never sees it.
MessageInflater::Result MessageInflater::end_message()
{
    const bool whole = !state_ || state_->finish();
    state_.reset();
    message_len_ = 0;
    if (!whole)
        return Result::corrupt;
    ++messages_;
    return Result::ok;
}

} // namespace websock
