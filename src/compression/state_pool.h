// state_pool.h: idle states of zlib, ready for whoever needs one: making one takes many times as
// long as using it. What a state does is in deflate.h.
#pragma once

#include "base/lock.h"
#include "base/processors.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace websock {

struct PoolFigures {
    size_t in_use = 0;
    size_t idle = 0;
    size_t memory = 0; // bytes, of both
    size_t peak_memory = 0;
};

// The bytes that the states of a pool hold. Any thread.
class MemoryCount
{
  public:
    void add(size_t bytes)
    {
        const size_t now = now_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
        size_t peak = peak_.load(std::memory_order_relaxed);
        while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
        }
    }
    void subtract(size_t bytes) { now_.fetch_sub(bytes, std::memory_order_relaxed); }

    size_t now() const { return now_.load(std::memory_order_relaxed); }
    size_t peak() const { return peak_.load(std::memory_order_relaxed); }

  private:
    std::atomic<size_t> now_{0};
    std::atomic<size_t> peak_{0};
};

// What a pool needs of each state: the size of its window, by which states are told apart, and two
// fields that are the pool's own.
template<class State> struct Pooled {
    int window_bits = 0;
    uint64_t idle_since = 0;
    std::unique_ptr<State> next_idle;
};

// State: derives from Pooled<State>, and has trim(), which frees what only a few need. As many
// are handed out as are wanted at a time. The pool outlives its leases. Any thread.
template<class State> class StatePool
{
  public:
    struct GiveBack {
        StatePool *pool = nullptr;
        void operator()(State *state) const noexcept
        {
            pool->give_back(std::unique_ptr<State>(state));
        }
    };
    using Lease = std::unique_ptr<State, GiveBack>;

    // make: gives a std::unique_ptr<State> with this window, or throws.
    template<class Make> Lease take(int window_bits, const Make &make) EXCLUDES(mutex_)
    {
        if (std::unique_ptr<State> state = pop(window_bits))
            return Lease(state.release(), GiveBack{this});
        std::unique_ptr<State> state = make();
        Lock lock(mutex_);
        ++in_use_;
        return Lease(state.release(), GiveBack{this});
    }

    // Frees the states that nobody has used since the call before last.
    void give_back_idle() EXCLUDES(mutex_)
    {
        std::array<std::unique_ptr<State>, kLists> old; // freed after the lock
        Lock lock(mutex_);
        ++round_;
        for (size_t i = 0; i < kLists; ++i)
            old[i] = cut_old(idle_[i]);
        lock.unlock();
    }

    PoolFigures figures() const EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        size_t idle = 0;
        for (const List &list : idle_)
            idle += list.size;
        return {in_use_, idle, memory_.now(), memory_.peak()};
    }

    MemoryCount &memory() { return memory_; }

  private:
    // The newest is the first: it is still in the processor's cache.
    struct List {
        std::unique_ptr<State> first;
        size_t size = 0;
    };
    static constexpr size_t kLists = 16; // one for each number of window bits

    std::unique_ptr<State> pop(int window_bits) EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        List &list = idle_[static_cast<size_t>(window_bits)];
        std::unique_ptr<State> state = std::move(list.first);
        if (state) {
            list.first = std::move(state->next_idle);
            --list.size;
            ++in_use_;
        }
        return state;
    }

    void give_back(std::unique_ptr<State> state) noexcept EXCLUDES(mutex_)
    {
        state->trim();
        Lock lock(mutex_);
        --in_use_;
        List &list = idle_[static_cast<size_t>(state->window_bits)];
        if (list.size < most_idle_) {
            state->idle_since = round_;
            state->next_idle = std::move(list.first);
            list.first = std::move(state);
            ++list.size;
        }
        lock.unlock(); // before the state is freed
    }

    std::unique_ptr<State> cut_old(List &list) REQUIRES(mutex_)
    {
        std::unique_ptr<State> *end = &list.first;
        size_t kept = 0;
        for (; *end && (*end)->idle_since + 2 > round_; end = &(*end)->next_idle)
            ++kept;
        list.size = kept;
        return std::move(*end);
    }

    const size_t most_idle_ = 2 * processors(); // of each size of window
    MemoryCount memory_; // before the states, which count with it until their end
    mutable Mutex mutex_;
    std::array<List, kLists> idle_ GUARDED_BY(mutex_);
    size_t in_use_ GUARDED_BY(mutex_) = 0;
    uint64_t round_ GUARDED_BY(mutex_) = 0;
};

} // namespace websock
