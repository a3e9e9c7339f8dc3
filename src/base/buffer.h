// buffer.h: the memory that received bytes stand in.
//
// A Chunk is a counted block. The connection's thread receives into its free end while
// events further up still refer to what came before. Each of those events holds a reference,
// and so does the thread. Nobody writes where another may read: the decoder has finished with
// a frame's bytes before its event is posted, and receiving goes on behind them. Only a chunk
// that nobody else refers to is filled from its start again. A chunk lives as long as one
// event holds it, however little of it that event needs, and so all of it counts towards what
// a connection may have queued.
//
// Small frames share a chunk. A frame that is larger than a shared chunk gets one of its own.
//
// Not here: what the bytes mean (protocol/frame.h), and who reads the socket
// (connection/connection.h).
#pragma once

#include "base/ref.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace websock {

class alignas(std::max_align_t) Chunk
{
  public:
    // Throws std::bad_alloc.
    static Ref<Chunk> make(size_t capacity);

    uint8_t *data() { return reinterpret_cast<uint8_t *>(this + 1); }
    size_t capacity() const { return capacity_; }
    // Bytes of memory that it takes.
    size_t cost() const { return capacity_ + sizeof(Chunk) + kHeapOverhead; }
    // Whether the caller's reference is the only one left. Acquires what the other holders
    // did before they let go.
    bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

    void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
    void release();

    // Count the events of an Inbox that hold it; under that inbox's lock. True: the event is
    // the first to hold it, or was the last.
    bool add_holder() { return holders_++ == 0; }
    bool remove_holder() { return --holders_ == 0; }

  private:
    static constexpr size_t kHeapOverhead = 16; // what malloc adds to a block

    explicit Chunk(size_t capacity) : capacity_(capacity) {}

    std::atomic<size_t> references_{1};
    const size_t capacity_;
    size_t holders_ = 0; // guarded by the inbox's lock
};

// How large a shared chunk is to be. It grows while reads fill the room they are given, and is
// small again after a second without large reads. It knows sizes and times, and no memory.
class SharedCapacity
{
  public:
    // max_queued_bytes: of the connection. Several shared chunks are to fit into it.
    explicit SharedCapacity(size_t max_queued_bytes)
        : most_(std::clamp(max_queued_bytes / 8, kLeast, kMost))
    {
    }

    size_t bytes() const { return bytes_; }

    // A read has brought n bytes; filled: all that there was room for. False: no read was large
    // for kCalmMs. now_ms is that of coarse_ms().
    bool adapt(size_t n, bool filled, int64_t now_ms);
    void reset() { bytes_ = kLeast; }

    static constexpr size_t kLeast = 512; // bytes
    static constexpr int kCalmMs = 1000;

  private:
    static constexpr size_t kMost = 256 * 1024;

    size_t bytes_ = kLeast;
    int64_t large_read_ms_ = 0; // when the last large read was
    const size_t most_;
};

// What a connection's thread receives into and decodes from; that thread's alone. The unread
// bytes are contiguous, and begin with the frame (or the request) that is being received.
class ReceiveBuffer
{
  public:
    explicit ReceiveBuffer(size_t max_queued_bytes) : shared_(max_queued_bytes) {}

    // What is received and not consumed yet.
    std::span<uint8_t> unread()
    {
        return chunk_ ? std::span(chunk_->data() + begin_, end_ - begin_) : std::span<uint8_t>();
    }

    // Room to receive into, right behind the unread bytes: at least one byte. The unread bytes
    // may be moved for it. frame_len is the length of the frame that begins with them; 0 if it
    // is not known yet. Throws std::bad_alloc, and then the unread bytes are as they were.
    std::span<uint8_t> room(size_t frame_len);

    void received(size_t n, int64_t now_ms); // now_ms: of coarse_ms()
    void consume(size_t n) { begin_ += n; }

    // The chunk that the unread bytes are in.
    const Ref<Chunk> &chunk() const { return chunk_; }

    // After so long without a large read, large chunks are given up.
    static constexpr int kCalmMs = SharedCapacity::kCalmMs;
    // The size of the largest chunk that was given up since this was last asked; 0: none.
    size_t take_given_up() { return std::exchange(given_up_, 0); }
    // Whether it has more memory than a quiet connection needs, or is about to ask for it.
    bool is_large() const
    {
        return shared_.bytes() > SharedCapacity::kLeast || limit_ > SharedCapacity::kLeast;
    }
    // Makes it small, as silence does.
    void relax();

  private:
    size_t unread_len() const { return end_ - begin_; }
    bool fits(size_t len) const { return chunk_ && len <= chunk_->capacity() - begin_; }
    void use_shared_chunk(size_t len);
    void use_own_chunk(size_t frame_len);
    void move_to_new_chunk(size_t capacity);
    void calm_down();

    Ref<Chunk> chunk_;
    size_t begin_ = 0; // of the unread bytes, in chunk_
    size_t end_ = 0;
    size_t limit_ = 0; // receiving stops here: at the end of the chunk, or of its one frame
    SharedCapacity shared_;
    size_t frame_len_ = 0; // as room() was told
    size_t expected_ = 0;  // how much may come at once, next: as much as last
    size_t largest_ = 0;   // chunk that was in use since it last calmed down, in bytes
    size_t given_up_ = 0;  // see take_given_up()
};

} // namespace websock
