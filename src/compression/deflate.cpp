// deflate.cpp: see deflate.h.
#include "compression/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <new>

namespace websock {

namespace {

// What an empty block without compression ends with. It ends each message and is left out there.
constexpr std::array<uint8_t, 4> kTail{0x00, 0x00, 0xff, 0xff};

// Bytes that are deflated between two looks whether to go on. The worst text that was measured took
// 55 s for 16 MiB at level 9, so these take 0.2 s.
constexpr size_t kDeflateStride = size_t{64} * 1024;
constexpr size_t kLeastOutput = size_t{4} * 1024;
constexpr size_t kKeptOutput = size_t{128} * 1024;

// zlib does not say how large the memory is that it frees, so that is kept in front of it.
constexpr size_t kFront = alignof(std::max_align_t);
static_assert(kFront >= sizeof(size_t));

void *allocate(void *count, unsigned items, unsigned size)
{
    const size_t bytes = kFront + size_t{items} * size;
    auto *const front = static_cast<uint8_t *>(operator new(bytes, std::nothrow));
    if (front == nullptr)
        return nullptr;
    std::memcpy(front, &bytes, sizeof bytes);
    static_cast<MemoryCount *>(count)->add(bytes);
    return front + kFront;
}

void release(void *count, void *memory)
{
    uint8_t *const front = static_cast<uint8_t *>(memory) - kFront;
    size_t bytes;
    std::memcpy(&bytes, front, sizeof bytes);
    static_cast<MemoryCount *>(count)->subtract(bytes);
    operator delete(front);
}

std::unique_ptr<z_stream> new_stream(MemoryCount &count)
{
    auto stream = std::make_unique<z_stream>();
    stream->zalloc = allocate;
    stream->zfree = release;
    stream->opaque = &count;
    return stream;
}

// zlib counts in unsigned int.
uInt as_uint(size_t size) { return static_cast<uInt>(std::min<size_t>(size, UINT_MAX)); }

// zlib does not write there, whatever its types say.
Bytef *as_input(const uint8_t *bytes) { return const_cast<Bytef *>(bytes); }

void check_memory(int result)
{
    if (result == Z_MEM_ERROR)
        throw std::bad_alloc();
}

// How large the hash table and the buffer of symbols are. Below 5 a small window is slower and
// compresses worse.
int memory_level(int window_bits) { return window_bits <= 12 ? 5 : window_bits == 13 ? 7 : 8; }

} // namespace

void CountedBytes::reserve(size_t size)
{
    if (size <= size_)
        return;
    release();
    bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
    size_ = size;
    count_.add(size);
}

void CountedBytes::release()
{
    bytes_.reset();
    count_.subtract(size_);
    size_ = 0;
}

void Deflater::End::operator()(z_stream_s *stream) const
{
    deflateEnd(stream);
    delete stream;
}

Deflater::Deflater(int bits, int level, MemoryCount &count) : dictionary_(count), output_(count)
{
    window_bits = bits;
    dictionary_.reserve(size_t{1} << bits);
    std::unique_ptr<z_stream> stream = new_stream(count);
    // zlib has no window of 8 bits. With 9 it refers back at most 250 bytes, which fit into 8.
    const int result = deflateInit2(stream.get(), level, Z_DEFLATED, -std::max(bits, 9),
                                    memory_level(bits), Z_DEFAULT_STRATEGY);
    if (result != Z_OK)
        throw std::bad_alloc();
    stream_.reset(stream.release());
}

Deflater::~Deflater() = default;

std::span<const uint8_t> Deflater::copy_dictionary(std::span<const uint8_t> dictionary)
{
    const size_t size = std::min(dictionary.size(), dictionary_.size());
    if (size > 0)
        std::memcpy(dictionary_.data(), dictionary.data() + dictionary.size() - size, size);
    return {dictionary_.data(), size};
}

std::span<const uint8_t> Deflater::deflate(std::span<const uint8_t> dictionary,
                                           std::span<const uint8_t> plain, bool last, size_t most,
                                           const GoesOn &goes_on)
{
    room_ = most + kTail.size(); // what fills it is too long, with the tail or without
    output_.reserve(std::max(room_, kLeastOutput));
    start(dictionary);
    if (!run(plain, goes_on))
        return {};
    // RFC 7692 7.2.1: "... for non-final fragments, the removal of ... MUST NOT be done."
    const size_t size = last ? written_ - kTail.size() : written_;
    return {output_.data(), size < most ? size : 0};
}

void Deflater::start(std::span<const uint8_t> dictionary)
{
    deflateReset(stream_.get());
    if (!dictionary.empty())
        deflateSetDictionary(stream_.get(), dictionary.data(), as_uint(dictionary.size()));
    written_ = 0;
}

// False: there is not room enough, or it is not to go on.
bool Deflater::run(std::span<const uint8_t> plain, const GoesOn &goes_on)
{
    for (;;) {
        const uInt in = static_cast<uInt>(std::min(plain.size(), kDeflateStride));
        const uInt room = as_uint(room_ - written_);
        stream_->next_in = as_input(plain.data());
        stream_->avail_in = in;
        stream_->next_out = output_.data() + written_;
        stream_->avail_out = room;
        const bool whole = in == plain.size();
        ::deflate(stream_.get(), whole ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        plain = plain.subspan(in - stream_->avail_in);
        written_ += room - stream_->avail_out;
        if (whole && stream_->avail_out > 0)
            return true;
        if (written_ == room_ || (goes_on && !goes_on()))
            return false;
    }
}

void Deflater::trim() noexcept
{
    if (output_.size() > kKeptOutput)
        output_.release();
}

void Inflater::End::operator()(z_stream_s *stream) const
{
    inflateEnd(stream);
    delete stream;
}

Inflater::Inflater(int bits, MemoryCount &count) : output_(count)
{
    window_bits = bits;
    output_.reserve(kStride);
    std::unique_ptr<z_stream> stream = new_stream(count);
    if (inflateInit2(stream.get(), -bits) != Z_OK)
        throw std::bad_alloc();
    stream_.reset(stream.release());
}

Inflater::~Inflater() = default;

void Inflater::start(std::span<const uint8_t> dictionary)
{
    at_final_end_ = false;
    inflateReset(stream_.get());
    if (!dictionary.empty())
        check_memory(
            inflateSetDictionary(stream_.get(), dictionary.data(), as_uint(dictionary.size())));
}

Inflater::Step Inflater::step(std::span<const uint8_t> &payload, size_t most)
{
    written_ = 0;
    if (at_final_end_) {
        if (payload.empty())
            return Step::need;
        inflateResetKeep(stream_.get()); // all but the window
        at_final_end_ = false;
    }
    const uInt in = as_uint(payload.size());
    const uInt room = as_uint(std::min(most, kStride));
    stream_->next_in = as_input(payload.data());
    stream_->avail_in = in;
    stream_->next_out = output_.data();
    stream_->avail_out = room;
    const int result = inflate(stream_.get(), Z_SYNC_FLUSH);
    check_memory(result);
    payload = payload.subspan(in - stream_->avail_in);
    written_ = room - stream_->avail_out;
    if (result == Z_STREAM_END) {
        at_final_end_ = true;
        return Step::more;
    }
    if (result != Z_OK && result != Z_BUF_ERROR)
        return Step::corrupt;
    return payload.empty() && stream_->avail_out > 0 ? Step::need : Step::more;
}

bool Inflater::finish()
{
    if (at_final_end_)
        return true;
    std::span<const uint8_t> tail = kTail;
    if (step(tail, kStride) != Step::need || written_ > 0)
        return false;
    return (stream_->data_type & 128) != 0; // between two blocks
}

} // namespace websock
