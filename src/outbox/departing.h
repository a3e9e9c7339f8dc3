// departing.h: a frame on its way into an Outbox, as it was given and, perhaps, compressed. It
// copies no payload. Made by the thread that sends, and that thread's alone.
#pragma once

#include "compression/compression_pools.h"
#include "protocol/frame.h"
#include "protocol/message.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace websock {

struct Frame {
    std::span<const uint8_t> header;
    std::span<const uint8_t> payload;
    std::span<const uint8_t> behind = {}; // whole frames that follow it
    size_t size() const { return header.size() + payload.size() + behind.size(); }
};

class Departing
{
  public:
    // may_compress: unless it continues a message, where the first fragment has decided.
    Departing(bool fin, Opcode opcode, std::span<const uint8_t> payload, bool may_compress)
        : fin_(fin), opcode_(opcode), may_compress_(may_compress && !is_control(opcode)),
          plain_(payload)
    {
        header_len_ = encode_header(header_.data(), fin, opcode, payload.size());
    }
    // What many get; window_bits: see Message::frame().
    Departing(const Message &message, int window_bits)
        : opcode_(message.opcode()), plain_(message.payload())
    {
        header_len_ = encode_header(header_.data(), true, opcode_, plain_.size());
        if (message.is_compressed_for(window_bits))
            set_compressed(message.compressed_payload(), kRefersToNothing);
    }
    Departing(const Departing &) = delete;
    Departing &operator=(const Departing &) = delete;

    bool fin() const { return fin_; }
    Opcode opcode() const { return opcode_; }
    bool continues() const { return opcode_ == Opcode::continuation; }
    bool is_fragment() const { return !fin_ || continues(); }
    bool may_compress() const { return may_compress_ || continues(); }

    std::span<const uint8_t> plain() const { return plain_; }
    Frame plain_frame() const { return {std::span(header_).first(header_len_), plain_}; }
    // What leaves.
    Frame frame() const
    {
        return is_compressed_
                   ? Frame{std::span(compressed_header_).first(compressed_header_len_), compressed_}
                   : plain_frame();
    }
    size_t size() const { return frame().size(); }

    // payload stays where it is as long as this does. refers_to: the version of the history that it
    // follows; it is worthless behind any other.
    static constexpr uint64_t kRefersToNothing = 0; // it may follow any
    void set_compressed(std::span<const uint8_t> payload, uint64_t refers_to)
    {
        compressed_ = payload;
        refers_to_ = refers_to;
        is_compressed_ = true;
        // RFC 7692 6.1: "An endpoint MUST NOT set the ... bit of ... non-first fragments ..."
        compressed_header_len_ =
            encode_header(compressed_header_.data(), fin_, opcode_, payload.size(), !continues());
    }
    void set_plain() { is_compressed_ = false; }
    bool is_compressed() const { return is_compressed_; }
    uint64_t refers_to() const { return refers_to_; }

    // What compresses it, and holds the result. Empty: it is not to be compressed.
    DeflaterPool::Lease deflater;
    int tries = 0; // to compress it

  private:
    bool fin_ = true;
    Opcode opcode_;
    bool may_compress_ = false;
    bool is_compressed_ = false;
    std::span<const uint8_t> plain_;
    std::span<const uint8_t> compressed_;
    uint64_t refers_to_ = kRefersToNothing;
    std::array<uint8_t, kMaxServerHeader> header_;
    std::array<uint8_t, kMaxServerHeader> compressed_header_;
    size_t header_len_ = 0;
    size_t compressed_header_len_ = 0;
};

} // namespace websock
