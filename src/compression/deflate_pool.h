// deflate_pool.h: the states of one server, and which one suits a message. What they do is in
// deflate.h.
#pragma once

#include "compression/deflate.h"

namespace websock {

// Any thread. The pool outlives its leases.
class DeflaterPool
{
  public:
    using Lease = StatePool<Deflater>::Lease;

    // level: 1 to 9. history: the longest dictionary there will be.
    explicit DeflaterPool(int level, size_t history = 0);

    // window_bits: the largest window that the receiver has, 8 to 15. bytes: those of the message
    // and of the dictionary. Throws std::bad_alloc.
    Lease take(int window_bits, size_t bytes);

    void give_back_idle() { states_.give_back_idle(); } // about once a second
    PoolFigures figures() const { return states_.figures(); }

  private:
    const int level_;
    const int most_bits_;
    StatePool<Deflater> states_;
};

// Any thread. The pool outlives its leases.
class InflaterPool
{
  public:
    using Lease = StatePool<Inflater>::Lease;

    // window_bits: the largest window that the sender may use, 8 to 15. Throws std::bad_alloc.
    Lease take(int window_bits);

    void give_back_idle() { states_.give_back_idle(); } // about once a second
    PoolFigures figures() const { return states_.figures(); }

  private:
    StatePool<Inflater> states_;
};

} // namespace websock
