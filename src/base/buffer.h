// buffer.h: the memory that received bytes stand in.
//
// A Chunk is a counted block. The connection's thread receives into its free end
// while events further up still refer to what came before: each event holds a
// reference, and the thread one. Nobody writes where another may read: the
// decoder has finished with a frame's bytes before its event is posted, and
// receiving goes on behind them. Only a chunk that nobody else refers to is
// filled from the start again, or moved. So a chunk stays as long as one event holds it,
// however little of it that is, and counts whole in what a connection may have queued.
//
// Not here: what the bytes mean (frame.h), and who reads the socket (connection.h).
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
    // What it takes of memory.
    size_t cost() const { return capacity_ + sizeof(Chunk) + kHeapOverhead; }
    // True only if the caller's reference is the last one. Acquires what the other
    // holders did before they let go.
    bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

    void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
    void release();

    // The events of an Inbox that hold it, to be used under that inbox's lock. True: this is
    // the first one; was the last one.
    bool add_holder() { return holders_++ == 0; }
    bool remove_holder() { return --holders_ == 0; }

  private:
    static constexpr size_t kHeapOverhead = 16; // of malloc's, for a block

    explicit Chunk(size_t capacity) : capacity_(capacity) {}

    std::atomic<size_t> references_{1};
    const size_t capacity_;
    size_t holders_ = 0; // guarded by the inbox's lock
};

// What a connection's thread receives into and decodes from; that thread's alone.
// The unread bytes are contiguous and begin with the frame (or the request) that
// is being received.
class ReceiveBuffer
{
  public:
    // max_queued_bytes: of its connection.
    explicit ReceiveBuffer(size_t max_queued_bytes)
        : largest_(std::clamp(max_queued_bytes / 8, kSmallChunk, kLargeChunk))
    {
    }

    // What is received and not consumed yet.
    std::span<uint8_t> unread()
    {
        return chunk_ ? std::span(chunk_->data() + begin_, end_ - begin_) : std::span<uint8_t>();
    }

    // Room to receive into, right behind the unread bytes (which may be moved for
    // it): at least one byte. frame_len is the length of what begins with the unread
    // bytes, 0 if that is not known. What does not fit a shared chunk gets one of its
    // own; a length field is taken at its word for that only once kTrust bytes have
    // come. Throws std::bad_alloc.
    std::span<uint8_t> room(size_t frame_len);

    void received(size_t n, int64_t now_ms); // of coarse_ms()
    void consume(size_t n) { begin_ += n; }

    // A reference for what begins at the unread bytes.
    const Ref<Chunk> &chunk() const { return chunk_; }

    // After so long without much, what is large is given up.
    static constexpr int kCalmMs = 1000;
    // The largest chunk that it had and has no use for any more, told once; 0 mostly.
    size_t take_given_up() { return std::exchange(given_up_, 0); }
    // Whether it has more than a quiet connection needs.
    bool is_large() const { return shared_capacity_ > kSmallChunk || limit_ > kSmallChunk; }
    // Gives that up.
    void relax();

  private:
    void move_to(size_t capacity);
    void calm_down();

    Ref<Chunk> chunk_;
    size_t begin_ = 0; // of the unread bytes, in chunk_
    size_t end_ = 0;
    size_t limit_ = 0;                     // where receiving stops: the chunk's end, or the frame's
    size_t shared_capacity_ = kSmallChunk; // of the next chunk for many frames
    size_t peak_ = 0;                      // the largest chunk since it was calm
    size_t given_up_ = 0;
    int64_t needed_ms_ = 0; // when that much was last of use; of coarse_ms()
    const size_t largest_;  // that shared_capacity_ may become: a few of them
                            // are to fit into what may be queued

    static constexpr size_t kSmallChunk = 512;        // while little comes
    static constexpr size_t kLargeChunk = 256 * 1024; // while reads fill what they get
    static constexpr size_t kLeastRoom = 128;         // less is not worth a read
    static constexpr size_t kTrust = 16 * 1024;
    static constexpr size_t kUntrusted = 64 * 1024;
};

} // namespace websock
