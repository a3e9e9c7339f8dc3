// message.h: one message for many clients: the frame that each of them gets, encoded once, and
// compressed once for those that take it so, with its id and key, if a topic needs them, in the
// same block of memory. Nobody changes it, so any thread that holds a reference may read it.
#pragma once

#include "base/ref.h"
#include "compression/compression_pools.h"
#include "protocol/frame.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace websock {

class alignas(std::max_align_t) Message
{
  public:
    struct Content {
        Opcode opcode;
        std::span<const uint8_t> payload;
        std::string_view id;
        std::string_view key;
        uint64_t publisher;        // the number of the client it is from; 0: none
        bool uncompressed = false; // it must not be compressed
    };
    struct Compressing {
        CompressionPools *pools = nullptr; // nullptr: nobody wants it compressed
        size_t threshold = 0;              // bytes
    };

    // Copies all of it. Throws std::bad_alloc.
    static Ref<Message> make(const Content &content, const Compressing &how);
    static Ref<Message> make(const Content &content) { return make(content, {}); }

    // A whole frame, as a server sends it to a client that accepts compressed messages which refer
    // back by 2^window_bits bytes at most. 0: it accepts none.
    std::span<const uint8_t> frame(int window_bits) const
    {
        return is_compressed_for(window_bits)
                   ? std::span(text_end(), compressed_header_len_ + compressed_len_)
                   : std::span(bytes(), header_len_ + payload_len_);
    }
    // What it counts as while it waits for such a client: all that it holds.
    size_t waiting_bytes(int window_bits) const
    {
        return is_compressed_for(window_bits) ? cost_ : frame(0).size();
    }
    bool is_compressed_for(int window_bits) const
    {
        return compressed_window_bits_ != 0 && compressed_window_bits_ <= window_bits;
    }
    // Of the payload of that frame.
    size_t payload_len(int window_bits) const
    {
        return is_compressed_for(window_bits) ? compressed_len_ : payload_len_;
    }
    std::span<const uint8_t> compressed_payload() const
    {
        return {text_end() + compressed_header_len_, compressed_len_};
    }
    bool must_stay_uncompressed() const { return uncompressed_; }
    Opcode opcode() const { return opcode_; }
    std::span<const uint8_t> payload() const { return {bytes() + header_len_, payload_len_}; }
    // NUL-terminated, both.
    std::string_view id() const { return {text(), id_len_}; }
    std::string_view key() const { return {text() + id_len_ + 1, key_len_}; }
    uint64_t publisher() const { return publisher_; }
    // What it takes of memory.
    size_t cost() const { return cost_; }

    void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
    void release();

  private:
    struct Compressed {
        std::span<const uint8_t> payload;
        int window_bits = 0;
    };

    static Compressed compress(const Content &content, CompressionPools &pools,
                               DeflaterPool::Lease &deflater);
    Message(const Content &content, const Compressed &compressed);

    const uint8_t *bytes() const { return reinterpret_cast<const uint8_t *>(this + 1); }
    const char *text() const
    {
        return reinterpret_cast<const char *>(bytes()) + header_len_ + payload_len_ + 1;
    }
    const uint8_t *text_end() const
    {
        return bytes() + header_len_ + payload_len_ + 1 + id_len_ + 1 + key_len_ + 1;
    }

    std::atomic<size_t> references_{1};
    uint64_t publisher_;
    size_t payload_len_;
    size_t compressed_len_;
    size_t cost_;
    uint8_t header_len_;
    uint8_t id_len_;
    uint8_t key_len_;
    uint8_t compressed_header_len_ = 0;
    uint8_t compressed_window_bits_; // that a client must have; 0: it is not compressed
    bool uncompressed_;
    Opcode opcode_;
};

} // namespace websock
