// outbox_delivery.cpp: how messages leave that others get, too, or keep for this client: as many
// as one write takes, straight from where they are. What is left of one that has begun leaves
// before anything else. See outbox.h.
#include "outbox/outbox.h"

#include "transport/socket.h"

#include <array>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

namespace websock {

namespace {

constexpr size_t kMostBytes = 64 * 1024; // of messages that are written together

} // namespace

Source *Outbox::source(const std::function<std::unique_ptr<Source>()> &make)
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
    return begun_ ? frame_of(*begun_).subspan(begun_written_) : std::span<const uint8_t>();
}

// Whether a message may wait in messages_, behind which queue_ leaves.
bool Outbox::may_share() const { return queue_.empty() && !fragments_.under_way && !gathering_; }

int Outbox::queue_shared(const Ref<Message> &message, const Departing &out)
try {
    messages_.push_back(message);
    if (out.is_compressed())
        note_compressed(out);
    else if (compression_)
        ++totals_.uncompressed;
    flush_if_due();
    return 0;
} catch (const std::bad_alloc &) {
    return ENOMEM;
}

// For a frame that is about to be written behind them, and so behind what is in queue_. By the
// holder of the turn, or while it is free. Throws std::bad_alloc with nothing changed.
void Outbox::copy_messages()
{
    if (messages_.empty())
        return;
    to_write_.reserve(to_write_.size() + messages_.bytes() + queue_.size());
    for (size_t i = 0; i < messages_.size(); ++i) {
        const std::span<const uint8_t> frame = frame_of(*messages_[i]);
        to_write_.insert(to_write_.end(), frame.begin(), frame.end());
        trace_.add(frame[0], messages_[i]->payload_len(window_bits_), coarse_ms());
    }
    totals_.messages += messages_.size();
    messages_.clear();
    to_write_.insert(to_write_.end(), queue_.begin(), queue_.end());
    std::vector<uint8_t>().swap(queue_);
    ++loads_;
}

void Outbox::next_messages(Source::Items &out) const
{
    size_t bytes = 0;
    for (size_t i = 0; i < messages_.size() && out.room() > 0 && bytes < kMostBytes; ++i) {
        out.push_back({messages_[i]});
        bytes += frame_of(*messages_[i]).size();
    }
}

// By the holder of the turn, when write_out() has nothing to do. Whether the transport may take
// more.
bool Outbox::deliver_some()
{
    Source::Items items;
    const bool queued = !messages_.empty();
    if (queued)
        next_messages(items);
    else
        source_has_items_ = false; // unless deliver() is called meanwhile
    Source *const source = queued ? nullptr : owned_source_.get();
    std::optional<SentHistory::Gap> gap;
    if (source && compression_)
        gap.emplace(compression_->history);

    mutex_.unlock();
    if (source)
        source->collect(items);
    const Delivered delivered = write_items(items);
    const bool has_more = source && source->took(std::span(items).first(delivered.taken));
    mutex_.lock();

    transport_wants_write_ = transport_wants_write_ || delivered.unsent;
    totals_.bytes += delivered.bytes;
    totals_.messages += delivered.taken;
    if (delivered.error != 0 && delivered.error != EAGAIN)
        fail(delivered.error);
    if (state() == State::ended)
        return false;
    if (queued)
        messages_.pop_front(delivered.taken);
    if (gap)
        note_items(std::span(items).first(delivered.taken), *gap);
    note_delivered(std::span(items).first(delivered.taken));
    if (delivered.left_of_last > 0) {
        begun_ = std::move(items[delivered.taken - 1].message);
        begun_written_ = frame_of(*begun_).size() - delivered.left_of_last;
        begun_was_queued_ = queued;
    }
    source_has_items_ = source_has_items_ || has_more;
    resume_owner_if_due();
    return delivered.error == 0;
}

// Without the lock.
Outbox::Delivered Outbox::write_items(Source::Items &items)
{
    if (items.size() == 0)
        return {};
    std::array<iovec, Source::kMostItems> frames;
    for (size_t i = 0; i < items.size(); ++i)
        frames[i] = part_of(frame_of(*items[i].message));
    std::span<iovec> rest = std::span(frames).first(items.size());
    const size_t total = size_of(rest);
    size_t left = total;
    Delivered delivered;
    delivered.error = write_parts(rest, left, Effort::once, 0);
    delivered.unsent = delivered.error != 0 && transport_.unsent();
    delivered.bytes = total - left;
    delivered.taken = left == 0 ? items.size() : items.size() - rest.size();
    if (left > 0 && rest.front().iov_len < frame_of(*items[delivered.taken].message).size()) {
        delivered.left_of_last = rest.front().iov_len;
        ++delivered.taken;
    }
    return delivered;
}

void Outbox::note_delivered(std::span<const Source::Item> items)
{
    const int64_t now_ms = items.empty() ? 0 : coarse_ms();
    for (const Source::Item &item : items)
        trace_.add(frame_of(*item.message)[0], item.message->payload_len(window_bits_), now_ms);
}

} // namespace websock
