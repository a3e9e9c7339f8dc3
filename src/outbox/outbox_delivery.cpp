// outbox_delivery.cpp: how messages leave that others keep for this client: as many as one write
// takes, straight from where they are kept. What is left of one that has begun leaves before
// anything else. See outbox.h.
#include "outbox/outbox.h"

#include "transport/socket.h"

#include <array>
#include <cerrno>
#include <utility>

namespace websock {

Outbox::Source *Outbox::source(const std::function<std::unique_ptr<Source>()> &make)
{
    Lock lock(mutex_);
    if (state() != State::open)
        return nullptr;
    if (!owned_source_) {
        owned_source_ = make();
        source_.store(owned_source_.get(), std::memory_order_release);
        if (limits_.send_buffer_bytes == 0)
            limit_unsent(transport_.fd(), kUnsent);
    }
    return owned_source_.get();
}

void Outbox::deliver()
{
    Lock lock(mutex_);
    if (state() != State::open)
        return;
    source_has_items_ = true;
    flush_if_due();
}

std::span<const uint8_t> Outbox::rest_of_begun() const
{
    return begun_ ? begun_->frame().subspan(begun_written_) : std::span<const uint8_t>();
}

// By the holder of the turn, when nothing else is to be written. Whether the transport may take
// more.
bool Outbox::deliver_some()
{
    source_has_items_ = false; // unless deliver() is called meanwhile
    Source &source = *owned_source_;

    mutex_.unlock();
    Items items;
    std::array<iovec, kMostItems> frames;
    source.collect(items);
    const size_t count = items.size();
    for (size_t i = 0; i < count; ++i) {
        const std::span<const uint8_t> frame = items[i].message->frame();
        frames[i] = {const_cast<uint8_t *>(frame.data()), frame.size()};
    }
    std::span<iovec> rest = std::span(frames).first(count);
    const size_t total = size_of(rest);
    size_t bytes = total;
    const int error = count > 0 ? write_parts(rest, bytes, Effort::once, 0) : 0;
    const bool unsent = error != 0 && transport_.unsent();
    const size_t whole = bytes == 0 ? count : count - rest.size();
    const bool has_begun =
        whole < count && rest.front().iov_len < items[whole].message->frame().size();
    const size_t taken = whole + (has_begun ? 1 : 0);
    const bool has_more = source.took(std::span(items).first(taken));
    mutex_.lock();

    transport_wants_write_ = transport_wants_write_ || unsent;
    totals_.bytes += total - bytes;
    totals_.messages += taken;
    if (error != 0 && error != EAGAIN)
        fail(error);
    if (state() == State::ended)
        return false;
    const int64_t now_ms = taken > 0 ? coarse_ms() : 0;
    for (const Item &item : std::span(items).first(taken))
        trace_.add(item.message->frame()[0], item.message->payload().size(), now_ms);
    if (has_begun) {
        begun_ = std::move(items[whole].message);
        begun_written_ = begun_->frame().size() - rest.front().iov_len;
    }
    source_has_items_ = source_has_items_ || has_more;
    return error == 0;
}

} // namespace websock
