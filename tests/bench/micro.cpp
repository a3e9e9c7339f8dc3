// micro.cpp: the library's inner loops alone, in one thread and without a socket: unmasking,
// UTF-8 validation and the whole decoder. A table on stderr, one line of JSON on stdout;
// medians of several samples, about two seconds in all.
//
// "plain" is the loop one writes without thinking, a byte at a time. It is compiled like
// everything else here: at -O2, gcc (since 12) and clang may vectorise it, and nothing helps
// or hinders them. It is only kept from being inlined, since the library's code, being in
// another file, is not inlined either.
#include "base/utf8.h"
#include "protocol/frame.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr int kSamples = 7;
constexpr double kSampleNs = 4e6;
constexpr double kGiB = 1 << 30;
constexpr size_t kTextBytes = 16384;
constexpr size_t kReceiveBuffer = 65536;
constexpr uint8_t kKey[4] = {0x37, 0xfa, 0x21, 0x3d}; // RFC 6455 5.7

[[gnu::noinline]] void plain_unmask(uint8_t *dst, const uint8_t *src, size_t len,
                                    const uint8_t key[4], size_t phase)
{
    for (size_t i = 0; i < len; ++i)
        dst[i] = static_cast<uint8_t>(src[i] ^ key[(phase + i) & 3]);
}

// RFC 3629 section 4, written out.
[[gnu::noinline]] bool plain_is_valid_utf8(const uint8_t *bytes, size_t len)
{
    size_t left = 0;
    uint8_t least = 0x80;
    uint8_t most = 0xbf;
    for (size_t i = 0; i < len; ++i) {
        const uint8_t byte = bytes[i];
        if (left > 0) {
            if (byte < least || byte > most)
                return false;
            least = 0x80;
            most = 0xbf;
            --left;
        } else if (byte >= 0xc2 && byte <= 0xdf) {
            left = 1;
        } else if (byte >= 0xe0 && byte <= 0xef) {
            left = 2;
            least = byte == 0xe0 ? 0xa0 : 0x80;
            most = byte == 0xed ? 0x9f : 0xbf;
        } else if (byte >= 0xf0 && byte <= 0xf4) {
            left = 3;
            least = byte == 0xf0 ? 0x90 : 0x80;
            most = byte == 0xf4 ? 0x8f : 0xbf;
        } else if (byte >= 0x80) {
            return false;
        }
    }
    return left == 0;
}

// Makes the compiler assume that somebody reads the memory behind the pointer.
void is_looked_at(const void *memory) { asm volatile("" : : "r"(memory) : "memory"); }

double now_ns()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(std::chrono::nanoseconds(now).count());
}

template<class Work> double time_of(const Work &work, size_t times)
{
    const double began = now_ns();
    for (size_t i = 0; i < times; ++i)
        work();
    return now_ns() - began;
}

double median(std::vector<double> samples)
{
    std::sort(samples.begin(), samples.end());
    return samples[samples.size() / 2];
}

// Time of one call.
template<class Work> double nanoseconds(const Work &work)
{
    size_t times = 1;
    while (time_of(work, times) < kSampleNs / 8)
        times *= 2;
    times *= 8;
    std::vector<double> samples;
    for (int i = 0; i < kSamples; ++i)
        samples.push_back(time_of(work, times) / static_cast<double>(times));
    return median(samples);
}

template<class Work> double gib_per_second(size_t bytes, const Work &work)
{
    return static_cast<double>(bytes) / kGiB / (nanoseconds(work) / 1e9);
}

void row(const std::string &what, double ours, double plain)
{
    std::fprintf(stderr, "%-36s %8.2f %8.2f %7.1f x\n", what.c_str(), ours, plain, ours / plain);
}

struct Layout {
    const char *name;
    size_t dst, src; // offsets in a buffer aligned to a cache line
};
// The last one: a short frame's header is six bytes long, and the decoder moves the payload
// over the mask key.
constexpr Layout kLayouts[] = {{"aligned", 0, 0}, {"unaligned", 3, 3}, {"over the key", 2, 6}};

void measure_unmask(size_t bytes, const Layout &layout, bool first)
{
    constexpr size_t kLine = 64;
    std::vector<uint8_t> memory(bytes + 3 * kLine, 0x5a);
    const size_t past = reinterpret_cast<uintptr_t>(memory.data()) % kLine;
    uint8_t *line = memory.data() + (kLine - past) % kLine;
    uint8_t *dst = line + layout.dst;
    const uint8_t *src = line + layout.src;
    const auto with = [&](auto function) {
        return gib_per_second(bytes, [=] {
            function(dst, src, bytes, kKey, 0);
            is_looked_at(dst);
        });
    };
    const double ours = with(websock::unmask);
    const double plain = with(plain_unmask);
    row("unmask " + std::to_string(bytes) + " B, " + layout.name, ours, plain);
    std::printf("%s{\"bytes\": %zu, \"layout\": \"%s\", \"gib_per_second\": %.3f, "
                "\"plain\": %.3f}",
                first ? "" : ", ", bytes, layout.name, ours, plain);
}

// Characters of one to four bytes; the non-ASCII ones are spread evenly over the lengths.
std::string text_of(double ascii)
{
    const char *const others[] = {"\u00e9", "\u4e2d", "\U0001f600"};
    std::mt19937 random(1);
    std::string text;
    while (text.size() + 4 <= kTextBytes) {
        if (std::uniform_real_distribution<>(0, 1)(random) < ascii)
            text += static_cast<char>('a' + random() % 26);
        else
            text += others[random() % std::size(others)];
    }
    text.append(kTextBytes - text.size(), '.');
    return text;
}

void measure_utf8(const char *name, double ascii, bool first)
{
    const std::string text = text_of(ascii);
    const auto *bytes = reinterpret_cast<const uint8_t *>(text.data());
    const auto with = [&](auto function) {
        return gib_per_second(text.size(), [&] {
            is_looked_at(bytes); // and perhaps changed, so the verdict cannot be reused
            const bool valid = function(bytes, text.size());
            is_looked_at(&valid);
        });
    };
    const double ours = with([](const uint8_t *at, size_t len) {
        return websock::is_valid_utf8({at, len});
    });
    const double plain = with(plain_is_valid_utf8);
    row(std::string("UTF-8 ") + name, ours, plain);
    std::printf("%s{\"text\": \"%s\", \"bytes\": %zu, \"gib_per_second\": %.3f, "
                "\"plain\": %.3f}",
                first ? "" : ", ", name, text.size(), ours, plain);
}

std::vector<uint8_t> full_of_frames(size_t payload)
{
    std::vector<uint8_t> frame = {0x82, static_cast<uint8_t>(0x80 | payload)};
    frame.insert(frame.end(), kKey, kKey + 4);
    frame.insert(frame.end(), payload, 'x');
    std::vector<uint8_t> bytes;
    while (bytes.size() + frame.size() <= kReceiveBuffer)
        bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
}

size_t decode_all(std::span<uint8_t> bytes)
{
    websock::Decoder decoder({.max_frame_payload = 1 << 20, .max_message_payload = 1 << 20});
    size_t frames = 0;
    while (!bytes.empty()) {
        const websock::Decoded decoded = decoder.decode(bytes);
        if (decoded.kind != websock::Decoded::frame)
            break;
        is_looked_at(decoded.payload);
        bytes = bytes.subspan(decoded.frame_len);
        ++frames;
    }
    return frames;
}

// Per frame. Decoding is in place, so the bytes are put back each time, untimed.
double decoder_ns(size_t payload)
{
    const std::vector<uint8_t> original = full_of_frames(payload);
    std::vector<uint8_t> bytes = original;
    std::vector<double> samples;
    for (double spent = 0; spent < kSamples * kSampleNs;) {
        std::copy(original.begin(), original.end(), bytes.begin());
        const double began = now_ns();
        const size_t frames = decode_all(bytes);
        const double took = now_ns() - began;
        if (frames != original.size() / (payload + 6))
            return 0; // decoding failed
        samples.push_back(took / static_cast<double>(frames));
        spent += took;
    }
    return median(samples);
}

} // namespace

int main()
{
    std::fprintf(stderr, "%-36s %8s %8s\n", "GiB/s", "ours", "plain");
    std::printf("{\"unmask\": [");
    bool first = true;
    for (const size_t bytes : {16u, 128u, 1024u, 16384u, 1048576u}) {
        for (const Layout &layout : kLayouts) {
            measure_unmask(bytes, layout, first);
            first = false;
        }
    }
    std::printf("], \"utf8\": [");
    measure_utf8("ASCII", 1, true);
    measure_utf8("one in ten not ASCII", 0.9, false);
    measure_utf8("half not ASCII", 0.5, false);
    const double ns = decoder_ns(20);
    std::fprintf(stderr, "%-36s %8.2f ns a frame\n", "decoder, frames of 20 B", ns);
    std::printf("], \"decoder\": {\"payload\": 20, \"ns_per_frame\": %.3f}}\n", ns);
    return ns > 0 ? 0 : 1;
}
