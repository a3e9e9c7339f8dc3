// frames.h: splits what a server sends into frames, for the honest clients. Keeps only the
// payloads of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace siege {

class Frames
{
  public:
    // Calls on_frame(opcode, payload) for each complete frame.
    template<class OnFrame> void feed(std::string_view bytes, const OnFrame &on_frame)
    {
        while (!bytes.empty()) {
            bytes.remove_prefix(take(bytes));
            if (!header_.empty() && header_.size() == header_size() && left_ == 0) {
                on_frame(opcode(), std::string_view(text_));
                header_.clear();
                text_.clear();
            }
        }
    }

  private:
    unsigned opcode() const { return static_cast<unsigned char>(header_[0]) & 0x0f; }

    // RFC 6455 5.2; a server does not mask.
    size_t header_size() const
    {
        if (header_.size() < 2)
            return 2;
        const auto length = static_cast<unsigned char>(header_[1]);
        return length == 127 ? 10 : length == 126 ? 4 : 2;
    }

    uint64_t payload_size() const
    {
        if (header_.size() == 2)
            return static_cast<unsigned char>(header_[1]);
        uint64_t size = 0;
        for (size_t i = 2; i < header_.size(); ++i)
            size = size << 8 | static_cast<unsigned char>(header_[i]);
        return size;
    }

    // How many bytes it used: one of the header, or all there are of the payload.
    size_t take(std::string_view bytes)
    {
        if (header_.size() < header_size()) {
            header_ += bytes.front();
            if (header_.size() == header_size())
                left_ = payload_size();
            return 1;
        }
        const auto size = static_cast<size_t>(left_ < bytes.size() ? left_ : bytes.size());
        if (opcode() == 1)
            text_ += bytes.substr(0, size);
        left_ -= size;
        return size;
    }

    std::string header_;
    uint64_t left_ = 0; // of the payload
    std::string text_;
};

} // namespace siege
