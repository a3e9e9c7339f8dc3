// deflate_stream.cpp: see deflate_stream.h.
#include "deflate_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace test {

namespace {

constexpr std::string_view kTail{"\x00\x00\xff\xff", 4}; // RFC 7692 7.2.1

Bytef *bytes_of(std::string_view text)
{
    return reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
}

constexpr size_t kRoom = 4096;

// Runs inflate or deflate until the input is used up and no output waits. most: bytes of output
// at a time.
template<class Step>
std::string run(z_stream &stream, std::string_view input, const Step &step, size_t most = kRoom)
{
    std::string output;
    std::array<char, kRoom> room;
    stream.next_in = bytes_of(input);
    stream.avail_in = static_cast<uInt>(input.size());
    do {
        stream.next_out = reinterpret_cast<Bytef *>(room.data());
        stream.avail_out = static_cast<uInt>(most);
        const int result = step(&stream);
        if (result != Z_OK && result != Z_BUF_ERROR)
            throw std::runtime_error("zlib: " + std::to_string(result));
        output.append(room.data(), most - stream.avail_out);
    } while (stream.avail_in > 0 || stream.avail_out == 0);
    return output;
}

} // namespace

InflateStream::InflateStream(int window_bits)
    : stream_(std::make_unique<z_stream>()), most_(window_bits < 15 ? 1 : kRoom)
{
    if (inflateInit2(stream_.get(), -window_bits) != Z_OK)
        throw std::runtime_error("inflateInit2");
}

InflateStream::InflateStream(InflateStream &&other) noexcept = default;

InflateStream::~InflateStream()
{
    if (stream_)
        inflateEnd(stream_.get());
}

std::string InflateStream::feed(std::string_view payload, bool last)
{
    const auto step = [](z_stream *stream) { return inflate(stream, Z_SYNC_FLUSH); };
    std::string plain = run(*stream_, payload, step, most_);
    if (!last)
        return plain;
    if (!run(*stream_, kTail, step, most_).empty() || (stream_->data_type & 128) == 0)
        throw std::runtime_error("the compressed message is not complete");
    return plain;
}

void InflateStream::reset() { inflateReset(stream_.get()); }

// zlib has no window of 8 bits for this; with 9 it refers back by 250 bytes at most.
DeflateStream::DeflateStream(int window_bits, int level) : stream_(std::make_unique<z_stream>())
{
    if (deflateInit2(stream_.get(), level, Z_DEFLATED, -std::max(window_bits, 9), 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("deflateInit2");
}

DeflateStream::DeflateStream(DeflateStream &&other) noexcept = default;

DeflateStream::~DeflateStream()
{
    if (stream_)
        deflateEnd(stream_.get());
}

std::string DeflateStream::feed(std::string_view plain, bool last)
{
    const auto step = [](z_stream *stream) { return deflate(stream, Z_SYNC_FLUSH); };
    std::string payload = run(*stream_, plain, step);
    if (!last)
        return payload;
    if (payload.empty()) // nothing has come since the last flush
        return std::string(1, '\0');
    payload.resize(payload.size() - kTail.size());
    return payload;
}

void DeflateStream::reset() { deflateReset(stream_.get()); }

} // namespace test
