// zlib_peer.h: the other side as most programs do it: a state of zlib for each direction that lives
// as long as the connection. Shared with the fuzz targets. No test cases.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace test {

using Bytes = std::vector<uint8_t>;

// Reads whole messages, and takes its window over from one to the next.
class PeerInflater
{
  public:
    // step: how much plain text zlib is to give at a time. It lets all that refer back further than
    // the window, if only it still sees that text: with one byte at a time it never does.
    explicit PeerInflater(int window_bits, size_t step = SIZE_MAX) : step_(step)
    {
        if (inflateInit2(&stream_, -window_bits) != Z_OK)
            std::abort();
    }
    ~PeerInflater() { inflateEnd(&stream_); }
    PeerInflater(const PeerInflater &) = delete;
    PeerInflater &operator=(const PeerInflater &) = delete;

    // payload: of a whole message. At most most bytes of plain text; nothing: it is no DEFLATE,
    // ends too early or has more of them.
    std::optional<Bytes> inflate(std::span<const uint8_t> payload, size_t most)
    {
        Bytes in(payload.begin(), payload.end());
        if (in.empty())
            return Bytes{};
        Bytes plain(most + 1);
        size_t len = 0;
        const std::optional<bool> ended = run(in, plain, len);
        if (!ended || len > most)
            return {};
        if (!*ended) { // else the last block was a final one
            const size_t before = len;
            in = {0x00, 0x00, 0xff, 0xff};
            if (run(in, plain, len) != false || len != before || (stream_.data_type & 128) == 0)
                return {};
        }
        plain.resize(len);
        return plain;
    }

  private:
    // All of the input, or until there is no room. Whether it ended with a final block.
    std::optional<bool> run(Bytes &in, Bytes &plain, size_t &len)
    {
        stream_.next_in = in.data();
        stream_.avail_in = static_cast<uInt>(in.size());
        while (stream_.avail_in > 0 || !at_final_end_) {
            if (at_final_end_)
                go_on();
            const size_t room = std::min(plain.size() - len, step_);
            stream_.next_out = plain.data() + len;
            stream_.avail_out = static_cast<uInt>(room);
            const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
            len += room - stream_.avail_out;
            at_final_end_ = result == Z_STREAM_END;
            if (result != Z_OK && result != Z_BUF_ERROR && !at_final_end_)
                return {};
            if (len == plain.size() || (stream_.avail_in == 0 && stream_.avail_out > 0))
                break;
        }
        return at_final_end_;
    }

    // A block after a final one: a new stream, but with the window of the one before.
    void go_on()
    {
        Bytes window(32768);
        uInt size = 0;
        inflateGetDictionary(&stream_, window.data(), &size);
        Bytef *const in = stream_.next_in;
        inflateReset(&stream_);
        inflateSetDictionary(&stream_, window.data(), size);
        stream_.next_in = in;
        at_final_end_ = false;
    }

    const size_t step_;
    z_stream stream_{};
    bool at_final_end_ = false;
};

// Writes whole messages, and takes its window over from one to the next.
class PeerDeflater
{
  public:
    PeerDeflater(int window_bits, int level)
    {
        if (deflateInit2(&stream_, level, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            std::abort();
    }
    ~PeerDeflater() { deflateEnd(&stream_); }
    PeerDeflater(const PeerDeflater &) = delete;
    PeerDeflater &operator=(const PeerDeflater &) = delete;

    // The payload of a whole message.
    Bytes deflate(std::span<const uint8_t> plain)
    {
        if (plain.empty())
            return {0x00};
        Bytes payload = run(plain, Z_SYNC_FLUSH);
        payload.resize(payload.size() - 4);
        return payload;
    }

    // How: as zlib's deflate is told. All that it gives.
    Bytes run(std::span<const uint8_t> plain, int how)
    {
        Bytes in(plain.begin(), plain.end());
        Bytes out(in.size() + in.size() / 8 + 1024);
        stream_.next_in = in.data();
        stream_.avail_in = static_cast<uInt>(in.size());
        stream_.next_out = out.data();
        stream_.avail_out = static_cast<uInt>(out.size());
        ::deflate(&stream_, how);
        out.resize(out.size() - stream_.avail_out);
        return out;
    }

  private:
    z_stream stream_{};
};

inline std::span<const uint8_t> bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

} // namespace test
