// frame_stream.h: frames as a client sends them, and their delivery to a decoder.
// A stream is delivered whole, cut in two at every offset, byte by byte, and byte
// by byte with the unfinished frame moved each time to memory that ends where its
// bytes end. The result must always be the same.
#pragma once

#include "protocol/frame.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <numeric>
#include <string>
#include <vector>

namespace frame_stream {

using namespace websock;

inline constexpr FrameLimits kRoomy = {1 << 20, 1 << 20};
inline constexpr uint8_t kKey[4] = {0x37, 0xfa, 0x21, 0x3d}; // from the examples in RFC 6455 5.7

using Lines = std::vector<std::string>; // what was decoded, one line for each result

inline constexpr uint8_t kFin = 0x80;
inline constexpr uint8_t kText = 0x1, kBinary = 0x2, kContinuation = 0x0;
inline constexpr uint8_t kClose = 0x8, kPing = 0x9, kPong = 0xa;

inline std::string raw(std::initializer_list<int> bytes)
{
    return std::string(bytes.begin(), bytes.end());
}

inline std::string big_endian(uint64_t value, size_t bytes)
{
    std::string out;
    while (bytes-- > 0) {
        out += static_cast<char>(value >> (8 * bytes));
    }
    return out;
}

inline std::string masked(const std::string &payload)
{
    std::string out(kKey, kKey + 4);
    for (size_t i = 0; i < payload.size(); ++i) {
        out += static_cast<char>(payload[i] ^ kKey[i % 4]);
    }
    return out;
}

// The first two bytes, and the length in extended more: 0, 2 or 8.
inline std::string header(int first, uint64_t len, size_t extended)
{
    const int code = extended == 0 ? static_cast<int>(len) : extended == 2 ? 126 : 127;
    return raw({first, 0x80 | code}) + big_endian(len, extended);
}

inline std::string frame(int first, const std::string &payload)
{
    const size_t extended = payload.size() < 126 ? 0 : payload.size() <= 0xffff ? 2 : 8;
    return header(first, payload.size(), extended) + masked(payload);
}

inline std::string name_of(Opcode opcode)
{
    switch (opcode) {
    case Opcode::continuation:
        return "continuation";
    case Opcode::text:
        return "text";
    case Opcode::binary:
        return "binary";
    case Opcode::close:
        return "close";
    case Opcode::ping:
        return "ping";
    case Opcode::pong:
        return "pong";
    }
    return "?";
}

// "text 'Hello'"; "text.. 'Hel'" without FIN; "continuation of text 'lo'";
// "error 1002"; "too large: binary 70000".
inline std::string line_of(const Decoded &result)
{
    if (result.kind == Decoded::error) {
        return "error " + std::to_string(result.close_code) + (result.reason ? "" : " no reason");
    }
    std::string line = name_of(result.opcode) + (result.fin ? "" : "..");
    if (result.kind == Decoded::too_large) {
        return "too large: " + line + " " + std::to_string(result.payload_len);
    }
    if (result.opcode == Opcode::continuation) {
        line += " of " + name_of(result.message_opcode);
    }
    const char *payload = reinterpret_cast<const char *>(result.payload);
    return line + " '" + std::string(payload, result.bytes().size()) + "'";
}

// Whether the result is the frame at the front of bytes, with its payload and the
// NUL after it inside that frame.
inline bool lies_in_frame(const Decoded &result, std::span<const uint8_t> bytes)
{
    const uint8_t *nul = result.payload + result.payload_len;
    return result.frame_len <= bytes.size() && result.payload >= bytes.data() &&
           nul < bytes.data() + result.frame_len && *nul == 0;
}

// Decodes all whole frames in bytes. Returns the rest, which is an unfinished frame;
// or nothing after an error.
inline std::span<uint8_t> drain(Decoder &decoder, std::span<uint8_t> bytes, Lines &lines)
{
    for (;;) {
        const Decoded result = decoder.decode(bytes);
        if (result.kind == Decoded::need_more) {
            if (result.frame_len != 0 && result.frame_len <= bytes.size()) {
                lines.push_back("need_more, but the whole frame is there");
            }
            return bytes;
        }
        if (result.kind == Decoded::frame && !lies_in_frame(result, bytes)) {
            lines.push_back("a frame outside its bytes");
        }
        lines.push_back(line_of(result));
        if (result.kind != Decoded::frame) {
            return {};
        }
        bytes = bytes.subspan(result.frame_len);
    }
}

inline bool is_over(const Lines &lines)
{
    return !lines.empty() &&
           (lines.back().starts_with("error") || lines.back().starts_with("too large"));
}

// ends: how many bytes of the stream are there at each call; the last is its length.
inline Lines in_place(const std::string &stream, const FrameLimits &limits,
                      std::vector<size_t> ends)
{
    Guarded memory(stream.size());
    std::memset(memory.data(), 0xee, memory.size()); // what has not arrived yet
    Decoder decoder(limits);
    Lines lines;
    size_t start = 0;
    size_t arrived = 0;
    for (size_t end : ends) {
        std::memcpy(memory.data() + arrived, stream.data() + arrived, end - arrived);
        arrived = end;
        const size_t left =
            drain(decoder, memory.span().subspan(start, arrived - start), lines).size();
        if (is_over(lines)) {
            return lines;
        }
        start = arrived - left;
    }
    return lines;
}

// Byte by byte, the unfinished frame each time in new memory that ends where it ends.
// After an error, *taken is the number of bytes it took.
inline Lines moving(const std::string &stream, const FrameLimits &limits, size_t *taken = nullptr)
{
    Decoder decoder(limits);
    Lines lines;
    std::string unfinished;
    for (size_t i = 0; i < stream.size(); ++i) {
        Guarded memory(unfinished + stream[i]);
        const std::span<uint8_t> rest = drain(decoder, memory.span(), lines);
        if (is_over(lines)) {
            if (taken != nullptr) {
                *taken = i + 1;
            }
            return lines;
        }
        unfinished.assign(rest.begin(), rest.end());
    }
    return lines;
}

inline Lines decode(const std::string &stream, const FrameLimits &limits = kRoomy)
{
    const Lines whole = in_place(stream, limits, {stream.size()});
    const size_t stride = stream.size() < 2000 ? 1 : 997;
    for (size_t cut = 0; cut < stream.size(); cut += cut < 20 ? 1 : stride) {
        CAPTURE(cut);
        REQUIRE(in_place(stream, limits, {cut, stream.size()}) == whole);
    }
    if (stream.size() < 2000) {
        std::vector<size_t> ends(stream.size());
        std::iota(ends.begin(), ends.end(), 1);
        CHECK(in_place(stream, limits, ends) == whole);
        CHECK(moving(stream, limits) == whole);
    }
    return whole;
}

// The number of bytes after which the stream is refused.
inline size_t refused_after(const std::string &stream, const FrameLimits &limits = kRoomy)
{
    size_t taken = 0;
    moving(stream, limits, &taken);
    return taken;
}

} // namespace frame_stream
