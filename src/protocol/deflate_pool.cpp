// deflate_pool.cpp: see deflate_pool.h.
#include "protocol/deflate_pool.h"

#include <algorithm>
#include <bit>

namespace websock {

namespace {

// Starting a message costs the more, the larger the state: all of its hash table is cleared. So
// a small message gets a small one, which can still refer back to all there is.
constexpr int kLeastBits = 11;

int suitable_bits(int window_bits, size_t bytes)
{
    const int needed = static_cast<int>(std::bit_width(bytes));
    return std::min(window_bits, std::max(needed, kLeastBits));
}

} // namespace

DeflaterPool::Lease DeflaterPool::take(int window_bits, size_t bytes)
{
    const int bits = suitable_bits(window_bits, bytes);
    return states_.take(bits,
                        [&] { return std::make_unique<Deflater>(bits, level_, states_.memory()); });
}

InflaterPool::Lease InflaterPool::take(int window_bits)
{
    return states_.take(window_bits,
                        [&] { return std::make_unique<Inflater>(window_bits, states_.memory()); });
}

} // namespace websock
