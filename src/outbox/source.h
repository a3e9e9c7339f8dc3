// source.h: what an Outbox takes messages from that others keep for its client, such as those of
// topics. They leave when nothing is queued in the outbox, straight from where they are kept:
// outbox_delivery.cpp.
#pragma once

#include "base/inline_vector.h"
#include "base/ref.h"
#include "protocol/message.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace websock {

class Source
{
  public:
    static constexpr size_t kMostItems = 64;
    struct Item {
        Ref<Message> message;
        void *of = nullptr; // these two are the source's
        uint64_t offset = 0;
    };
    using Items = InlineVector<Item, kMostItems>;

    virtual ~Source() = default;
    // Adds the next messages to what is empty, at most as many as fit. Called by the holder
    // of the turn, without the outbox's lock, and followed by took().
    virtual void collect(Items &out) noexcept = 0;
    // These, the first ones of them, have left or begun to. Whether there are more.
    virtual bool took(std::span<const Item> items) noexcept = 0;
    // After Outbox::Owner::notify(), on a worker, among the client's events.
    virtual void tell() = 0;
    // The connection is ending. Nothing is collected any more.
    virtual void end() noexcept = 0;
};

} // namespace websock
