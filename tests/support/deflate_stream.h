// deflate_stream.h: one direction of permessage-deflate as a client has it, straight from zlib: a
// state that lives as long as the connection. So it is a check on the library, which has none.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;

namespace test {

class InflateStream
{
  public:
    explicit InflateStream(int window_bits = 15);
    ~InflateStream();
    InflateStream(InflateStream &&other) noexcept;

    // The payload of a message's next frame, inflated. Throws std::runtime_error if it is no
    // DEFLATE, or if the message is not complete with it although it is the last.
    std::string feed(std::string_view payload, bool last);
    void reset(); // nothing refers back to what has come

  private:
    std::unique_ptr<z_stream_s> stream_;
    // zlib looks no further back than the window, or than what it has written in one call. So it
    // writes a byte at a time.
    size_t most_;
};

class DeflateStream
{
  public:
    explicit DeflateStream(int window_bits = 15, int level = 6);
    ~DeflateStream();
    DeflateStream(DeflateStream &&other) noexcept;

    std::string feed(std::string_view plain, bool last = true);
    void reset();

  private:
    std::unique_ptr<z_stream_s> stream_;
};

} // namespace test
