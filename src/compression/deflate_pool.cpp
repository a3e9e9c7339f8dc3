// deflate_pool.cpp: see deflate_pool.h.
#include "compression/deflate_pool.h"

#include <algorithm>

namespace websock {

namespace {

// A state that starts a message clears its hash table and touches its window, and the larger they
// are, the more of the processor's cache goes. A small message gets a small one, which sees as much
// of it and of its dictionary. (Measured with JSON: above this size the larger one is faster.)
constexpr size_t kSmallMessage = 4096;
constexpr int kSmallBits = 12;

// 15 bits compress 1 % better, and take up to 15 % longer: only a dictionary needs them.
constexpr int kLargeBits = 14;
constexpr size_t kLargeWindow = size_t{1} << kLargeBits;

} // namespace

// RFC 7692 7.2.1: "An endpoint MUST NOT use an LZ77 sliding window longer than 32,768 bytes ..."
DeflaterPool::DeflaterPool(int level, size_t history)
    : level_(level), most_bits_(history > kLargeWindow ? 15 : kLargeBits)
{
}

// RFC 7692 7.2.1: "... the server MUST NOT use an LZ77 sliding window longer than the w-th ..."
DeflaterPool::Lease DeflaterPool::take(int window_bits, size_t bytes)
{
    const int bits = std::min(window_bits, bytes <= kSmallMessage ? kSmallBits : most_bits_);
    return states_.take(bits,
                        [&] { return std::make_unique<Deflater>(bits, level_, states_.memory()); });
}

InflaterPool::Lease InflaterPool::take(int window_bits)
{
    return states_.take(window_bits,
                        [&] { return std::make_unique<Inflater>(window_bits, states_.memory()); });
}

} // namespace websock
