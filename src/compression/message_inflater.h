// message_inflater.h: the compressed messages that one client sends, back to what they were
// (RFC 7692 7.2.2). Frames and the limits of their payload are in frame.h.
#pragma once

#include "compression/deflate_pool.h"
#include "compression/history.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace websock {

// Used by the connection's thread alone. It has a state of the pool only in the middle of a
// message; between messages it keeps what the next one may refer back to.
class MessageInflater
{
  public:
    enum class Result {
        ok,
        too_big, // the message is longer than it may be
        corrupt, // it is no DEFLATE, or ends too early
        stopped, // take has returned false
        paused   // pause() was called: resume() goes on
    };
    // Gets the next plain bytes, at most 16 KiB of them; false: no more are wanted.
    using Take = std::function<bool(std::span<const uint8_t>)>;

    // window_bits: 8 to 15, of the client's window. takeover: a message may refer back to those
    // before it. max_message: plain bytes.
    MessageInflater(InflaterPool &pool, int window_bits, bool takeover, uint64_t max_message);

    // payload: of the next frame of a compressed message, unmasked; fin: it is the last one. After
    // any result but ok, or an exception (std::bad_alloc, or what take throws), nothing more may
    // be fed.
    Result feed(std::span<const uint8_t> payload, bool fin, const Take &take);

    // For take: it has enough for now, and the payload stays where it is until resume() has gone
    // on.
    void pause() { pauses_ = true; }
    bool is_paused() const { return is_paused_; }
    Result resume(const Take &take);

    // Of messages, from now on.
    void limit(uint64_t max_message) { max_message_ = max_message; }

    // Over the whole connection; unfinished messages count with what has come.
    uint64_t bytes_in() const { return bytes_in_; }
    uint64_t bytes_out() const { return bytes_out_; }
    uint64_t messages() const { return messages_; }
    // What it holds between messages.
    size_t memory() const { return history_.memory(); }

  private:
    Result inflate(std::span<const uint8_t> payload, bool fin, const Take &take);
    Result inflate_all(std::span<const uint8_t> payload, const Take &take);
    Result deliver(std::span<const uint8_t> plain, const Take &take);
    Result end_message();
    uint64_t bytes_left() const; // of the message that is coming

    InflaterPool &pool_;
    const int window_bits_;
    uint64_t max_message_;
    InflaterPool::Lease state_; // of the message that is coming
    uint64_t message_len_ = 0;  // plain bytes of it so far
    bool pauses_ = false;       // pause() was called
    bool is_paused_ = false;    // and the rest_ of a frame's payload waits
    bool fin_ = false;          // of that frame
    std::span<const uint8_t> rest_;
    History history_;
    uint64_t bytes_in_ = 0;
    uint64_t bytes_out_ = 0;
    uint64_t messages_ = 0;
};

} // namespace websock
