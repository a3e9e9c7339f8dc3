// buffer.cpp: see buffer.h.
#include "base/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace websock {

namespace {

// No object is larger. So twice what a chunk holds, or two chunks together, never wrap.
constexpr size_t kMaxCapacity = std::numeric_limits<ptrdiff_t>::max() - sizeof(Chunk);

} // namespace

Ref<Chunk> Chunk::make(size_t capacity)
{
    if (capacity > kMaxCapacity)
        throw std::bad_alloc();
    void *memory = std::malloc(sizeof(Chunk) + capacity);
    if (!memory)
        throw std::bad_alloc();
    return Ref<Chunk>::adopt(new (memory) Chunk(capacity));
}

void Chunk::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    this->~Chunk();
    std::free(this);
}

std::span<uint8_t> ReceiveBuffer::room(size_t frame_len)
{
    const size_t have = end_ - begin_;
    if (have == 0 && chunk_ && chunk_->capacity() == shared_capacity_ && chunk_->unique())
        begin_ = end_ = 0;
    // Of unknown length: a frame's header is short, and a request starts small.
    const size_t need = std::max(frame_len, have + 1);
    const bool too_large =
        chunk_ && chunk_->capacity() > shared_capacity_ && need <= shared_capacity_;
    const bool fits = chunk_ && need <= chunk_->capacity() - begin_;
    if (!fits || too_large || (have == 0 && limit_ - end_ < kLeastRoom)) {
        if (need <= shared_capacity_)
            move_to(shared_capacity_);
        else if (frame_len == 0)
            move_to(2 * have);
        else
            move_to(have >= kTrust ? need : std::min(need, kUntrusted));
    }
    // A chunk of its own ends with its frame, so that the next frame starts in a
    // shared one again.
    limit_ = chunk_->capacity();
    if (frame_len > shared_capacity_)
        limit_ = std::min(limit_, begin_ + frame_len);
    return {chunk_->data() + end_, limit_ - end_};
}

void ReceiveBuffer::move_to(size_t capacity)
{
    const size_t have = end_ - begin_;
    Ref<Chunk> fresh = Chunk::make(capacity);
    if (have > 0)
        std::memcpy(fresh->data(), chunk_->data() + begin_, have);
    chunk_ = std::move(fresh);
    begin_ = 0;
    end_ = have;
    limit_ = capacity;
    peak_ = std::max(peak_, capacity);
}

void ReceiveBuffer::calm_down()
{
    shared_capacity_ = kSmallChunk;
    if (peak_ > kSmallChunk)
        given_up_ = std::max(given_up_, peak_);
    peak_ = 0;
}

void ReceiveBuffer::received(size_t n, int64_t now_ms)
{
    end_ += n;
    // The rest of a chunk may be filled by little; what counts is what a read brings.
    if (end_ == limit_ && n >= shared_capacity_ / 2)
        shared_capacity_ = std::min(shared_capacity_ * 4, largest_);
    if (n >= shared_capacity_ / 8)
        needed_ms_ = now_ms;
    else if (now_ms - needed_ms_ >= kCalmMs)
        calm_down();
}

void ReceiveBuffer::relax()
{
    calm_down();
    if (begin_ != end_)
        return;
    chunk_ = nullptr;
    begin_ = end_ = limit_ = 0;
}

} // namespace websock
