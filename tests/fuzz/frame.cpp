// frame.cpp: fuzz target: the frame decoder. A stream is decoded whole, in chunks (each time
// in memory that ends with what has arrived) and by the reference: all three must agree, and
// nothing but the frame itself may be written to.
//
// Input: a byte for the limits, the chunk lengths, the stream.
#include "reference.h"

#include "protocol/frame.h"

#include <cstring>

using namespace websock;
using namespace fuzz;

namespace {

constexpr FrameLimits kLimits[] = {
    {1 << 20, 1 << 20}, {125, 300}, {1000, 1000}, {70000, 200}, {1, 1}, {UINT64_MAX, UINT64_MAX},
};

// Checks the decoder's result for a frame at the start of bytes; before is a copy made before
// the call.
void check_frame(const Decoded &result, std::span<uint8_t> bytes, Bytes before)
{
    require(result.frame_len <= bytes.size(), "a frame is longer than its bytes");
    require(result.payload >= bytes.data(), "a payload begins before its frame");
    const uint8_t *nul = result.payload + result.payload_len;
    require(nul < bytes.data() + result.frame_len, "a NUL is beyond its frame");
    require(*nul == 0, "a payload has no NUL after it");
    const uint64_t header_len = result.frame_len - result.payload_len;
    require(header_len == 6 || header_len == 8 || header_len == 14,
            "header and payload do not make up the frame");
    const size_t behind = bytes.size() - result.frame_len;
    require(
        std::memcmp(bytes.data() + result.frame_len, before.data() + result.frame_len, behind) == 0,
        "what follows a frame was changed");
}

PlainFrame plain(const Decoded &result)
{
    if (result.kind == Decoded::error) {
        require(result.reason != nullptr, "an error has no reason");
        return {.kind = PlainFrame::error, .close_code = result.close_code};
    }
    PlainFrame frame{.fin = result.fin,
                     .opcode = static_cast<uint8_t>(result.opcode),
                     .message_opcode = static_cast<uint8_t>(result.message_opcode),
                     .payload_len = result.payload_len};
    if (result.kind == Decoded::too_large)
        frame.kind = PlainFrame::too_large;
    else
        frame.payload.assign(result.payload, result.payload + result.payload_len);
    return frame;
}

// need_more: any header that it reports must be that of bytes.
void check_need_more(const Decoded &result, Bytes bytes)
{
    if (result.frame_len == 0)
        return;
    require(result.frame_len > bytes.size(), "the frame is whole, but more is wanted");
    require(bytes.size() >= 2 && result.fin == (bytes[0] >= 0x80) &&
                static_cast<uint8_t>(result.opcode) == (bytes[0] & 0x0f),
            "a header is described wrongly");
}

std::vector<PlainFrame> decode(Bytes stream, const FrameLimits &limits, Chunking *chunking)
{
    Decoder decoder(limits);
    std::vector<PlainFrame> frames;
    std::string unfinished;
    while (!stream.empty()) {
        const size_t len = chunking ? chunking->next(stream.size()) : stream.size();
        Exact memory(bytes_of(unfinished + text_of(stream.first(len))));
        stream = stream.subspan(len);
        std::span<uint8_t> bytes = memory.span();
        for (;;) {
            const std::string before = text_of(bytes);
            const Decoded result = decoder.decode(bytes);
            if (result.kind == Decoded::need_more) {
                check_need_more(result, bytes_of(before));
                break;
            }
            if (result.kind == Decoded::frame)
                check_frame(result, bytes, bytes_of(before));
            frames.push_back(plain(result));
            if (result.kind != Decoded::frame)
                return frames;
            bytes = bytes.subspan(result.frame_len);
        }
        unfinished = text_of(bytes);
    }
    return frames;
}

std::vector<PlainFrame> reference(Bytes stream, const FrameLimits &limits)
{
    PlainReader reader(stream, true, {limits.max_frame_payload, limits.max_message_payload});
    std::vector<PlainFrame> frames;
    PlainFrame frame;
    while (reader.next(frame))
        frames.push_back(frame);
    return frames;
}

void check_close(const PlainFrame &frame)
{
    const ClosePayload close = parse_close(bytes_of(frame.payload));
    const uint16_t code = plain_close_code(bytes_of(frame.payload));
    require(close.ok == (code != 0), "a Close payload is judged differently by the reference");
    require(close.ok || close.close_code == 1002 || close.close_code == 1007,
            "a bad Close payload fails with an unsuitable code");
    if (!close.ok)
        return;
    require(close.code == code, "a Close code differs from the reference's");
    Exact encoded(kMaxControlPayload);
    const size_t len = encode_close(encoded.data(), close.code, close.reason);
    require(text_of(encoded.span().first(len)) == frame.payload,
            "a Close payload is not encoded as it was");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const FrameLimits &limits = kLimits[input.byte() % std::size(kLimits)];
    Chunking chunking(input);
    const std::vector<PlainFrame> whole = decode(input.rest(), limits, nullptr);
    require(decode(input.rest(), limits, &chunking) == whole, "chunks change the result");
    require(reference(input.rest(), limits) == whole, "the reference sees different frames");
    for (const PlainFrame &frame : whole) {
        if (frame.kind == PlainFrame::frame && frame.opcode == static_cast<uint8_t>(Opcode::close))
            check_close(frame);
    }
    return 0;
}
