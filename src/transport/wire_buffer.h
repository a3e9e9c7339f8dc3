// wire_buffer.h: the memory that a TLS connection receives ciphertext into. It is small while
// little comes, so that an idle connection costs little, and large while reads fill it. What the
// bytes mean is tls_session.h's business.
#pragma once

#include "transport/transport.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace websock {

// The reading thread's alone.
class WireBuffer
{
  public:
    static constexpr size_t kSmall = 2048;
    static constexpr size_t kLarge = 64 * 1024;
    static constexpr int kCalmMs = 1000; // without a read that a small one could not hold: then
                                         // it is small again

    // Waits for ciphertext, at most timeout_ms (-1: for ever), and puts it in place of what was
    // here. Throws std::bad_alloc.
    Transport::Received fill(Transport &socket, int timeout_ms);

    // What the last fill() received.
    std::span<const uint8_t> bytes() const { return {memory_.get(), len_}; }
    size_t capacity() const { return capacity_; }

  private:
    Transport::Received wait(Transport &socket, int timeout_ms);
    Transport::Received read(Transport &socket, int timeout_ms);
    void choose_next_capacity();

    std::unique_ptr<uint8_t[]> memory_;
    size_t capacity_ = 0;
    size_t len_ = 0;
    size_t next_capacity_ = kSmall; // of the next read
    int64_t needed_ms_ = 0;         // when a read last needed more than kSmall, by coarse_ms()
};

} // namespace websock
