// message.h: one message for many clients: the frame that each of them gets, encoded once, with
// its id and key, if a topic needs them, behind it in the same block of memory. Nobody changes it once it is in a log,
// so any thread that holds a reference may read it.
#pragma once

#include "base/ref.h"
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
        uint64_t publisher; // the number of the client it is from; 0: none
    };

    // Copies all of it. Throws std::bad_alloc.
    static Ref<Message> make(const Content &content);

    // A whole frame, as a server sends it.
    std::span<const uint8_t> frame() const { return {bytes(), header_len_ + payload_len_}; }
    std::span<const uint8_t> header() const { return {bytes(), header_len_}; }
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
    explicit Message(const Content &content);

    const uint8_t *bytes() const { return reinterpret_cast<const uint8_t *>(this + 1); }
    const char *text() const
    {
        return reinterpret_cast<const char *>(bytes()) + header_len_ + payload_len_ + 1;
    }

    std::atomic<size_t> references_{1};
    uint64_t publisher_;
    size_t payload_len_;
    size_t cost_;
    uint8_t header_len_;
    uint8_t id_len_;
    uint8_t key_len_;
    Opcode opcode_;
};

} // namespace websock
