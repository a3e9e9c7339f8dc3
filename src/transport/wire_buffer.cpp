// wire_buffer.cpp: see wire_buffer.h.
#include "transport/wire_buffer.h"

#include "base/clock.h"

namespace websock {

using Received = Transport::Received;

Received WireBuffer::fill(Transport &socket, int timeout_ms)
{
    len_ = 0;
    const Received received = wait(socket, timeout_ms);
    if (received.result != Received::bytes)
        return received;
    len_ = received.len;
    choose_next_capacity();
    return received;
}

// A silent connection must not keep a large buffer for as long as it is silent.
Received WireBuffer::wait(Transport &socket, int timeout_ms)
{
    if (next_capacity_ == kSmall || (timeout_ms >= 0 && timeout_ms <= kCalmMs))
        return read(socket, timeout_ms);
    const Received received = read(socket, kCalmMs);
    if (received.result != Received::timed_out)
        return received;
    return read(socket, timeout_ms < 0 ? -1 : timeout_ms - kCalmMs);
}

Received WireBuffer::read(Transport &socket, int timeout_ms)
{
    if (capacity_ != next_capacity_) {
        memory_.reset(); // first, so that there are never two
        capacity_ = 0;
        memory_ = std::make_unique_for_overwrite<uint8_t[]>(next_capacity_);
        capacity_ = next_capacity_;
    }
    const Received received = socket.read({memory_.get(), capacity_}, timeout_ms);
    if (received.result == Received::timed_out)
        next_capacity_ = kSmall;
    return received;
}

void WireBuffer::choose_next_capacity()
{
    const int64_t now_ms = coarse_ms();
    const bool is_full = len_ == capacity_;
    if (is_full)
        next_capacity_ = kLarge;
    if (is_full || len_ > kSmall)
        needed_ms_ = now_ms;
    else if (now_ms - needed_ms_ >= kCalmMs)
        next_capacity_ = kSmall;
}

} // namespace websock
