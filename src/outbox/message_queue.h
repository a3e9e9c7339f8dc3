// message_queue.h: messages that wait for one client, first come, first out. It holds references:
// whatever waits for many clients is in memory once. It locks nothing.
#pragma once

#include "base/ref.h"
#include "protocol/message.h"

#include <cstddef>
#include <vector>

namespace websock {

class MessageQueue
{
  public:
    // See Message::frame(). Before anything is queued.
    void accept_compressed(int window_bits) { window_bits_ = window_bits; }

    bool empty() const { return first_ == messages_.size(); }
    size_t size() const { return messages_.size() - first_; }
    // Of their frames; and what is compressed is also in memory as it was.
    size_t bytes() const { return bytes_; }
    const Ref<Message> &operator[](size_t i) const { return messages_[first_ + i]; }

    // Throws std::bad_alloc with nothing changed.
    void push_back(const Ref<Message> &message)
    {
        if (messages_.size() == messages_.capacity())
            close_gap();
        messages_.push_back(message);
        bytes_ += message->waiting_bytes(window_bits_);
    }

    // There are so many.
    void pop_front(size_t count)
    {
        for (; count > 0; --count, ++first_) {
            bytes_ -= messages_[first_]->waiting_bytes(window_bits_);
            messages_[first_] = {};
        }
        if (empty())
            clear();
    }

    void clear()
    {
        messages_.clear();
        first_ = bytes_ = 0;
        if (messages_.capacity() > kKept)
            std::vector<Ref<Message>>().swap(messages_);
    }

  private:
    static constexpr size_t kKept = 4; // what an idle connection has room for

    // Unless it is small: to move what is behind it would cost more than it gains.
    void close_gap()
    {
        if (first_ < messages_.size() / 2)
            return;
        messages_.erase(messages_.begin(), messages_.begin() + static_cast<ptrdiff_t>(first_));
        first_ = 0;
    }

    std::vector<Ref<Message>> messages_;
    size_t first_ = 0; // those before it have left
    size_t bytes_ = 0;
    int window_bits_ = 0;
};

} // namespace websock
