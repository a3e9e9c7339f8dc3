// deflate.h: messages to and from DEFLATE (RFC 1951). The only part that sees zlib. A state belongs
// to no connection: it is told what came before each message. Where states wait is in
// deflate_pool.h; what a connection keeps of its messages is in history.h.
#pragma once

#include "compression/state_pool.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

struct z_stream_s;

namespace websock {

// Memory that its pool counts; its bytes are not initialized.
class CountedBytes
{
  public:
    explicit CountedBytes(MemoryCount &count) : count_(count) {}
    ~CountedBytes() { release(); }
    CountedBytes(const CountedBytes &) = delete;
    CountedBytes &operator=(const CountedBytes &) = delete;

    // At least so many bytes; what was there is lost. Throws std::bad_alloc.
    void reserve(size_t size);
    void release();
    uint8_t *data() const { return bytes_.get(); }
    size_t size() const { return size_; }

  private:
    MemoryCount &count_;
    std::unique_ptr<uint8_t[]> bytes_;
    size_t size_ = 0;
};

// The sending side. Used by one thread at a time.
class Deflater : public Pooled<Deflater>
{
  public:
    // Throws std::bad_alloc. window_bits: 8 to 15.
    Deflater(int window_bits, int level, MemoryCount &count);
    ~Deflater();

    // Copies a dictionary here, so that its owner may change. Good until the next call; the state
    // has the room from the beginning, so this cannot fail. Only the end of a dictionary that is
    // longer than the window is kept: more is of no use to this state.
    std::span<const uint8_t> copy_dictionary(std::span<const uint8_t> dictionary);

    // The plain bytes as DEFLATE that may refer back to the dictionary, which is the end of what
    // the receiver has got in compressed messages. last: the message ends with them. The result
    // is good until the next call. It is empty if it would have most bytes or more. Throws
    // std::bad_alloc.
    // goes_on is asked now and then: it may take seconds. If it says no, the result is empty.
    using GoesOn = std::function<bool()>;
    std::span<const uint8_t> deflate(std::span<const uint8_t> dictionary,
                                     std::span<const uint8_t> plain, bool last, size_t most,
                                     const GoesOn &goes_on = {});

    void trim() noexcept;

  private:
    struct End {
        void operator()(z_stream_s *stream) const;
    };

    void start(std::span<const uint8_t> dictionary);
    bool run(std::span<const uint8_t> plain, const GoesOn &goes_on);

    std::unique_ptr<z_stream_s, End> stream_;
    CountedBytes dictionary_;
    CountedBytes output_;
    size_t room_ = 0; // of the output, for this message
    size_t written_ = 0;
};

// The receiving side. Used by one thread at a time.
class Inflater : public Pooled<Inflater>
{
  public:
    static constexpr size_t kStride = 16 * 1024; // of plain bytes that come at a time

    enum class Step {
        more,   // there may be more: go on
        need,   // all of the payload was read, and all that it holds has come
        corrupt // this is no DEFLATE
    };

    // Throws std::bad_alloc. window_bits: 8 to 15.
    Inflater(int window_bits, MemoryCount &count);
    ~Inflater();

    // A message begins. dictionary: what it may refer back to.
    void start(std::span<const uint8_t> dictionary);
    // Reads from the front of payload, which then begins behind what was read. Its plain bytes,
    // most of them at most, are in output() until the next call. Throws std::bad_alloc.
    Step step(std::span<const uint8_t> &payload, size_t most);
    std::span<const uint8_t> output() const { return {output_.data(), written_}; }
    // All payload of a message was read: whether it ends there.
    bool finish();

    void trim() noexcept {}

  private:
    struct End {
        void operator()(z_stream_s *stream) const;
    };

    std::unique_ptr<z_stream_s, End> stream_;
    CountedBytes output_;
    size_t written_ = 0;
    bool at_final_end_ = false; // a block said that it is the final one, and has ended
};

} // namespace websock
