// history.h: the end of what one side of a connection has sent in compressed messages: what the
// next message may refer back to. Whose it is, and when it counts, is not decided here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace websock {

// The last bytes of what was appended. It holds no more memory than it needs, give or take a
// factor of two. One thread at a time uses it.
class History
{
  public:
    static constexpr size_t kMost = 32768; // the longest window of DEFLATE

    explicit History(size_t most) : most_(static_cast<uint32_t>(std::min(most, kMost))) {}
    History(History &&other) noexcept
        : bytes_(std::move(other.bytes_)), most_(other.most_), room_(std::exchange(other.room_, 0)),
          size_(std::exchange(other.size_, 0))
    {
    }
    History &operator=(History &&other) noexcept
    {
        bytes_.swap(other.bytes_);
        std::swap(most_, other.most_);
        std::swap(room_, other.room_);
        std::swap(size_, other.size_);
        return *this;
    }

    // Throws std::bad_alloc, with nothing changed.
    void append(std::span<const uint8_t> added)
    {
        added = added.last(std::min<size_t>(added.size(), most_));
        if (added.empty())
            return;
        const size_t kept = std::min<size_t>(size_, most_ - added.size());
        if (kept + added.size() > room_)
            grow(kept + added.size());
        std::memmove(bytes_.get(), bytes_.get() + size_ - kept, kept);
        std::memcpy(bytes_.get() + kept, added.data(), added.size());
        size_ = static_cast<uint32_t>(kept + added.size());
    }

    std::span<const uint8_t> bytes() const { return {bytes_.get(), size_}; }
    size_t memory() const { return room_; } // at most as much as it may keep

    void clear()
    {
        bytes_.reset();
        room_ = size_ = 0;
    }

  private:
    static constexpr size_t kLeast = 128;

    void grow(size_t needed)
    {
        const size_t room = std::min<size_t>(most_, std::max({needed, size_t{2} * room_, kLeast}));
        auto larger = std::make_unique_for_overwrite<uint8_t[]>(room);
        if (size_ > 0)
            std::memcpy(larger.get(), bytes_.get(), size_);
        bytes_ = std::move(larger);
        room_ = static_cast<uint32_t>(room);
    }

    std::unique_ptr<uint8_t[]> bytes_;
    uint32_t most_;
    uint32_t room_ = 0;
    uint32_t size_ = 0;
};

} // namespace websock
