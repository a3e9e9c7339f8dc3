// buffer.cpp: see buffer.h.
#include "base/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace websock {

namespace {

// No object is larger. So neither twice a chunk's capacity nor the sum of two overflows.
constexpr size_t kMaxCapacity = std::numeric_limits<ptrdiff_t>::max() - sizeof(Chunk);

constexpr size_t kLeastRoom = 128; // bytes; fewer are not worth a read

// A frame's length field is believed once so many bytes of the frame have come. Until then it
// gets no more room than the second number.
constexpr size_t kTrust = 16 * 1024;
constexpr size_t kUntrusted = 64 * 1024;

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

bool SharedCapacity::adapt(size_t n, bool filled, int64_t now_ms)
{
    // The room may have been the small rest of a chunk: what counts is how much a read brings.
    if (filled && n >= bytes_ / 2)
        bytes_ = std::min(bytes_ * 4, most_);
    if (n >= bytes_ / 8)
        large_read_ms_ = now_ms;
    return now_ms - large_read_ms_ < kCalmMs;
}

std::span<uint8_t> ReceiveBuffer::room(size_t frame_len)
{
    // While its length is not known, it is small: a frame's header is short, and a request
    // starts small.
    frame_len_ = frame_len;
    const size_t len = std::max(frame_len, unread_len() + 1);
    if (len <= shared_.bytes())
        use_shared_chunk(len);
    else
        use_own_chunk(frame_len);
    return {chunk_->data() + end_, limit_ - end_};
}

// One that frames are received into, one after the other.
void ReceiveBuffer::use_shared_chunk(size_t len)
{
    const size_t capacity = shared_.bytes();
    const bool nothing_unread = unread_len() == 0;
    if (nothing_unread && chunk_ && chunk_->capacity() == capacity && chunk_->unique())
        begin_ = end_ = 0;
    // It is larger if it was a large frame's, or if the connection has calmed down.
    const bool is_larger = chunk_ && chunk_->capacity() > capacity;
    // What comes is to fit, if it is like the last: of a frame that is cut, the first part moves.
    const size_t enough = std::max(kLeastRoom, std::min(expected_, capacity / 2));
    const bool is_used_up = nothing_unread && limit_ - end_ < enough;
    if (!fits(len) || is_larger || is_used_up)
        move_to_new_chunk(capacity);
    limit_ = chunk_->capacity();
}

// One for what begins with the unread bytes. It ends with its frame, so that the next frame
// starts in a shared chunk again.
void ReceiveBuffer::use_own_chunk(size_t frame_len)
{
    const size_t have = unread_len();
    if (frame_len == 0) { // it is a request: no frame's header is that long
        if (!fits(have + 1))
            move_to_new_chunk(2 * have);
        limit_ = chunk_->capacity();
        return;
    }
    const size_t believed_len = have >= kTrust ? frame_len : std::min(frame_len, kUntrusted);
    if (!fits(believed_len))
        move_to_new_chunk(believed_len);
    limit_ = begin_ + believed_len;
}

void ReceiveBuffer::move_to_new_chunk(size_t capacity)
{
    const size_t have = unread_len();
    Ref<Chunk> fresh = Chunk::make(capacity);
    if (have > 0)
        std::memcpy(fresh->data(), chunk_->data() + begin_, have);
    chunk_ = std::move(fresh);
    begin_ = 0;
    end_ = have;
    largest_ = std::max(largest_, capacity);
}

void ReceiveBuffer::calm_down()
{
    shared_.reset();
    if (largest_ > SharedCapacity::kLeast)
        given_up_ = std::max(given_up_, largest_);
    largest_ = 0;
}

void ReceiveBuffer::received(size_t n, int64_t now_ms)
{
    end_ += n;
    expected_ = std::max(n, frame_len_);
    if (!shared_.adapt(n, end_ == limit_, now_ms))
        calm_down();
}

void ReceiveBuffer::relax()
{
    calm_down();
    if (unread_len() > 0)
        return;
    chunk_ = nullptr;
    begin_ = end_ = limit_ = 0;
}

} // namespace websock
