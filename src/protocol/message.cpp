// message.cpp: see message.h.
#include "protocol/message.h"

#include <array>
#include <cstring>
#include <new>

namespace websock {

namespace {

constexpr size_t kHeapOverhead = 16; // of malloc's, for a block

uint8_t *append(uint8_t *to, const void *data, size_t len)
{
    if (len > 0)
        std::memcpy(to, data, len);
    to[len] = 0;
    return to + len + 1;
}

} // namespace

Ref<Message> Message::make(const Content &content)
{
    // The three NULs are behind the payload, the id and the key.
    const size_t len =
        kMaxServerHeader + content.payload.size() + content.id.size() + content.key.size() + 3;
    void *memory = ::operator new(sizeof(Message) + len);
    auto *message = new (memory) Message(content);
    message->cost_ = sizeof(Message) + len + kHeapOverhead;
    return Ref<Message>::adopt(message);
}

Message::Message(const Content &content)
    : publisher_(content.publisher), payload_len_(content.payload.size()), cost_(0), header_len_(0),
      id_len_(static_cast<uint8_t>(content.id.size())),
      key_len_(static_cast<uint8_t>(content.key.size())), opcode_(content.opcode)
{
    auto *to = reinterpret_cast<uint8_t *>(this + 1);
    header_len_ =
        static_cast<uint8_t>(encode_header(to, true, content.opcode, content.payload.size()));
    to = append(to + header_len_, content.payload.data(), content.payload.size());
    to = append(to, content.id.data(), content.id.size());
    append(to, content.key.data(), content.key.size());
}

void Message::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    this->~Message();
    ::operator delete(this);
}

} // namespace websock
