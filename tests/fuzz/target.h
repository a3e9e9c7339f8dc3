// target.h: what the fuzz targets share: the entry point, the input as a source of choices,
// and how a broken promise ends the process. Each target defines its promises.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

// Called by libFuzzer, or by replay.cpp, with one input at a time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace fuzz {

using Bytes = std::span<const uint8_t>;

// Ends the process unless holds is true; libFuzzer then keeps the input.
inline void require(bool holds, const char *what)
{
    if (holds)
        return;
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
}

// The front of an input makes the choices, the rest is fed to the code. Past the end every
// choice is 0.
class Input
{
  public:
    Input(const uint8_t *data, size_t size) : rest_(data, size) {}

    uint8_t byte()
    {
        if (rest_.empty())
            return 0;
        const uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    Bytes take(size_t n)
    {
        const Bytes taken = rest_.first(std::min(n, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    Bytes rest() const { return rest_; }

  private:
    Bytes rest_;
};

// How the rest of an input is cut: eight of its bytes, each the length of a chunk, used in a
// circle. 0 stands for all that is left. In a long stream the lengths are scaled up, so that
// cutting is not most of the work.
class Chunking
{
  public:
    static constexpr size_t kLengths = 8;

    explicit Chunking(Input &input)
        : lengths_(input.take(kLengths)), unit_(1 + input.rest().size() / 1024)
    {
    }

    // The length of the next chunk, given what is left of the stream.
    size_t next(size_t left)
    {
        const size_t length = lengths_.empty() ? 0 : unit_ * lengths_[at_++ % lengths_.size()];
        return length == 0 ? left : std::min(length, left);
    }

  private:
    Bytes lengths_;
    size_t unit_;
    size_t at_ = 0;
};

// Bytes in a heap block of exactly their size, so that AddressSanitizer sees every access
// beyond.
class Exact
{
  public:
    explicit Exact(size_t size) : bytes_(new uint8_t[size]()), size_(size) {}
    explicit Exact(Bytes bytes) : Exact(bytes.size())
    {
        std::copy(bytes.begin(), bytes.end(), bytes_.get());
    }

    std::span<uint8_t> span() { return {bytes_.get(), size_}; }
    uint8_t *data() { return bytes_.get(); }
    size_t size() const { return size_; }

  private:
    std::unique_ptr<uint8_t[]> bytes_;
    size_t size_;
};

inline std::string text_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

inline Bytes bytes_of(const std::string &text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

} // namespace fuzz
