// mask.cpp: fuzz target: unmasking in words against a plain loop, for every alignment, phase
// and overlap, in one piece and in two.
//
// Input: the key, the phase, the destination's offset, the place of the cut, the bytes.
#include "reference.h"

#include "protocol/frame.h"

using namespace websock;
using namespace fuzz;

namespace {

constexpr uint8_t kAround = 0xa5;

// Unmasks bytes that lie shift behind their destination, with margins on both sides, in a
// block whose alignment and end depend on the margins.
std::string unmask_in_place(Bytes masked, const uint8_t *key, size_t phase, size_t shift,
                            size_t margin, size_t cut)
{
    Exact memory(margin + shift + masked.size());
    std::span<uint8_t> all = memory.span();
    std::fill(all.begin(), all.end(), kAround);
    uint8_t *dst = memory.data() + margin;
    uint8_t *src = dst + shift;
    std::copy(masked.begin(), masked.end(), src);

    unmask(dst, src, cut, key, phase);
    unmask(dst + cut, src + cut, masked.size() - cut, key, (phase + cut) % 4);

    for (size_t i = 0; i < margin; ++i)
        require(all[i] == kAround, "a byte before the destination was changed");
    for (size_t i = margin + masked.size(); i < all.size(); ++i) {
        const size_t in_source = i - margin - shift;
        const uint8_t expected = i < margin + shift ? kAround : masked[in_source];
        require(all[i] == expected, "a byte after the destination was changed");
    }
    return text_of(all.subspan(margin, masked.size()));
}

std::string unmask_apart(Bytes masked, const uint8_t *key, size_t phase)
{
    Exact source(masked);
    Exact destination(masked.size());
    unmask(destination.data(), source.data(), masked.size(), key, phase);
    require(text_of(source.span()) == text_of(masked), "the source was changed");
    return text_of(destination.span());
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t key[4] = {input.byte(), input.byte(), input.byte(), input.byte()};
    const uint8_t where = input.byte();
    const size_t phase = where % 4;
    const size_t margin = where / 4 % 16;
    const size_t shift = input.byte() % 64;
    const size_t wanted_cut = input.byte();
    const Bytes masked = input.rest();
    const size_t cut = std::min(wanted_cut, masked.size());

    const std::string expected = plain_unmask(masked, key, phase);
    require(unmask_in_place(masked, key, phase, shift, margin, cut) == expected,
            "unmasking in two pieces differs from a plain loop");
    require(unmask_in_place(masked, key, phase, 4, margin, 0) == expected,
            "unmasking over the key differs from a plain loop");
    require(unmask_apart(masked, key, phase) == expected,
            "unmasking to another place differs from a plain loop");
    return 0;
}
