// timer_heap.h: what waits for its time, the soonest first: a heap, so that adding, removing and
// finding the first take O(log n) at most. Owns nothing, locks nothing.
#pragma once

#include "base/clock.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace websock {

class TimerHeap
{
  public:
    // Something that can be in one heap.
    class Timed
    {
      private:
        friend class TimerHeap;
        size_t place_ = 0; // in the heap, while it is in
    };

    // Makes room for so many in all: then push() does not fail. Throws std::bad_alloc.
    void reserve(size_t count)
    {
        if (count > heap_.capacity())
            heap_.reserve(std::max(count, 2 * heap_.capacity()));
    }
    void push(Timed &timed, TimePoint due) noexcept; // it is not in
    void remove(Timed &timed) noexcept;              // it is in

    Timed *front() const { return heap_.empty() ? nullptr : heap_.front().timed; }
    TimePoint front_due() const { return heap_.empty() ? kNever : heap_.front().due; }

  private:
    struct Entry {
        TimePoint due; // here as well, since what is compared should lie together
        Timed *timed;
    };

    void put(size_t place, const Entry &entry)
    {
        heap_[place] = entry;
        entry.timed->place_ = place;
    }
    void sift_up(size_t place, const Entry &entry);
    void sift_down(size_t place, const Entry &entry);

    // Each place's children are the four from 4 * place + 1 on, and none is due before it: flatter
    // than with two, and four entries are one cache line.
    static constexpr size_t kChildren = 4;
    std::vector<Entry> heap_;
};

inline void TimerHeap::push(Timed &timed, TimePoint due) noexcept
{
    heap_.push_back({});
    sift_up(heap_.size() - 1, {due, &timed});
}

inline void TimerHeap::remove(Timed &timed) noexcept
{
    const size_t place = timed.place_;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.timed == &timed)
        return;
    if (place > 0 && last.due < heap_[(place - 1) / kChildren].due)
        sift_up(place, last);
    else
        sift_down(place, last);
}

// Puts the entry in, at this free place or above.
inline void TimerHeap::sift_up(size_t place, const Entry &entry)
{
    while (place > 0) {
        const size_t parent = (place - 1) / kChildren;
        if (heap_[parent].due <= entry.due)
            break;
        put(place, heap_[parent]);
        place = parent;
    }
    put(place, entry);
}

// Puts the entry in, at this free place or below.
inline void TimerHeap::sift_down(size_t place, const Entry &entry)
{
    for (;;) {
        const size_t first = kChildren * place + 1;
        const size_t end = std::min(first + kChildren, heap_.size());
        size_t soonest = first;
        for (size_t child = first + 1; child < end; ++child)
            soonest = heap_[child].due < heap_[soonest].due ? child : soonest;
        if (first >= end || entry.due <= heap_[soonest].due)
            break;
        put(place, heap_[soonest]);
        place = soonest;
    }
    put(place, entry);
}

} // namespace websock
