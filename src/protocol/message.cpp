// message.cpp: see message.h.
#include "protocol/message.h"

#include "compression/compressibility.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace websock {

namespace {

constexpr size_t kHeapOverhead = 16; // of malloc's, for a block

constexpr int kLeastWindowBits = 8; // RFC 7692 7.1.2
constexpr int kMostWindowBits = 15;

uint8_t *append(uint8_t *to, const void *data, size_t len)
{
    if (len > 0)
        std::memcpy(to, data, len);
    to[len] = 0;
    return to + len + 1;
}

} // namespace

Ref<Message> Message::make(const Content &content, const Compressing &how)
{
    DeflaterPool::Lease deflater; // holds what is compressed
    Compressed compressed;
    if (how.pools && !content.uncompressed && content.payload.size() >= how.threshold &&
        !looks_incompressible(content.payload))
        compressed = compress(content, *how.pools, deflater);
    // The three NULs are behind the payload, the id and the key.
    size_t len =
        kMaxServerHeader + content.payload.size() + content.id.size() + content.key.size() + 3;
    if (compressed.window_bits != 0)
        len += kMaxServerHeader + compressed.payload.size();
    void *memory = ::operator new(sizeof(Message) + len);
    auto *message = new (memory) Message(content, compressed);
    message->cost_ = sizeof(Message) + len + kHeapOverhead;
    return Ref<Message>::adopt(message);
}

// By a state that remembers nothing, so that it may follow whatever a client has had before.
Message::Compressed Message::compress(const Content &content, CompressionPools &pools,
                                      DeflaterPool::Lease &deflater)
try {
    const size_t len = content.payload.size();
    deflater = pools.deflaters.take(kMostWindowBits, len);
    const CompressionPools::Timer timer(pools.deflate);
    const std::span<const uint8_t> payload = deflater->deflate({}, content.payload, true, len);
    if (payload.empty())
        return {}; // it is not smaller
    // No distance in it is longer than the message.
    const int bits = std::max(kLeastWindowBits, static_cast<int>(std::bit_width(len)));
    return {payload, std::min(bits, deflater->window_bits)};
} catch (const std::bad_alloc &) {
    return {};
}

Message::Message(const Content &content, const Compressed &compressed)
    : publisher_(content.publisher), payload_len_(content.payload.size()),
      compressed_len_(compressed.payload.size()), cost_(0), header_len_(0),
      id_len_(static_cast<uint8_t>(content.id.size())),
      key_len_(static_cast<uint8_t>(content.key.size())),
      compressed_window_bits_(static_cast<uint8_t>(compressed.window_bits)),
      uncompressed_(content.uncompressed), opcode_(content.opcode)
{
    auto *to = reinterpret_cast<uint8_t *>(this + 1);
    header_len_ =
        static_cast<uint8_t>(encode_header(to, true, content.opcode, content.payload.size()));
    to = append(to + header_len_, content.payload.data(), content.payload.size());
    to = append(to, content.id.data(), content.id.size());
    to = append(to, content.key.data(), content.key.size());
    if (compressed.window_bits == 0)
        return;
    compressed_header_len_ =
        static_cast<uint8_t>(encode_header(to, true, content.opcode, compressed_len_, true));
    std::memcpy(to + compressed_header_len_, compressed.payload.data(), compressed_len_);
}

void Message::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    this->~Message();
    ::operator delete(this);
}

} // namespace websock
