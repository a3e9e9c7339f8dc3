// outbox_compression.cpp: how frames are compressed, each as a continuation of what leaves before
// it. That takes too long to be done under the lock. So it is done without, for the version of the
// history that there was, and again if that has changed by the time the frame has its place.
// See outbox.h and sent_history.h.
#include "outbox/outbox.h"

#include "compression/compressibility.h"

#include <cerrno>
#include <new>

namespace websock {

namespace {

// After so many tries that others got ahead of, a frame is compressed so that it refers to nothing
// and may follow whatever they send.
constexpr int kTries = 2;
// Of what does not get smaller, besides an eighth: bytes.
constexpr size_t kMostOverhead = 64;

} // namespace

// What needs no lock: whether it may be worth it, and what compresses it.
void Outbox::prepare(Departing &out) const noexcept
try {
    if (state() != State::open || !compression_ || !out.may_compress())
        return;
    const size_t len = out.plain().size();
    // How long a message in fragments gets is not known.
    const bool is_short = out.fin() && len < compression_->threshold;
    if (!out.continues() && (is_short || looks_incompressible(out.plain())))
        return;
    out.deflater =
        compression_->pools->deflaters.take(window_bits_, compression_->history.most() + len);
} catch (const std::bad_alloc &) {
    // Then it leaves as it is; but for what continues a message, see compress().
}

// RFC 7692 6.1: "... MUST use the following algorithm to send ... a compressed message."
// Compresses a frame for the place that it would have now, unless it is to leave as it is. Gives
// the lock up meanwhile. 0, or ENOMEM: the compressed message cannot go on.
int Outbox::compress(Departing &out)
{
    if (!compression_)
        return 0;
    if (out.tries == 0 && out.deflater && !out.continues() && compression_->passes_over())
        out.deflater.reset();
    while (state() == State::open) {
        if (!is_to_be_compressed(out)) {
            out.set_plain();
            return 0;
        }
        if (out.is_compressed() && is_current(out))
            return 0;
        if (out.deflater)
            deflate(out, out.tries++ < kTries);
        if (!out.deflater && out.continues())
            return ENOMEM;
    }
    return 0;
}

// RFC 7692 6.1: the first fragment decides.
bool Outbox::is_to_be_compressed(const Departing &out) const
{
    if (out.continues())
        return fragments_.compressed;
    return out.deflater && !fragments_.under_way; // behind fragments it would wait for its place
}

bool Outbox::is_current(const Departing &out) const
{
    return !out.is_compressed() || out.refers_to() == Departing::kRefersToNothing ||
           out.refers_to() == compression_->history.version();
}

// If that is in vain, the frame is without a deflater, and plain.
void Outbox::deflate(Departing &out, bool refers_back)
{
    Deflater &deflater = *out.deflater;
    SentHistory &history = compression_->history;
    const bool has_history = refers_back && history.most() > 0;
    const uint64_t refers_to = has_history ? history.version() : Departing::kRefersToNothing;
    const std::span<const uint8_t> dictionary =
        deflater.copy_dictionary(has_history ? history.bytes() : std::span<const uint8_t>());

    mutex_.unlock();
    // A fragment of a compressed message must be compressed, even if that makes it longer.
    const size_t len = out.plain().size();
    const size_t most = out.is_fragment() ? len + len / 8 + kMostOverhead : len;
    std::span<const uint8_t> payload;
    bool has_memory = true;
    try {
        const CompressionPools::Timer timer(compression_->pools->deflate);
        payload = deflater.deflate(dictionary, out.plain(), out.fin(), most,
                                   [this] { return state() == State::open; });
    } catch (const std::bad_alloc &) {
        has_memory = false;
    }
    mutex_.lock();

    if (!payload.empty()) {
        compression_->has_shrunk();
        return out.set_compressed(payload, refers_to);
    }
    if (has_memory)
        compression_->has_not_shrunk();
    out.set_plain();
    out.deflater.reset();
}

// RFC 7692 6.1: "... MUST use the following algorithm to send ... an uncompressed message."
// The frame is where it leaves from: nothing comes between it and what was sent before.
void Outbox::note_place(const Departing &out) noexcept
{
    const Frame frame = out.frame();
    trace_.add(frame.header[0], frame.payload.size(), coarse_ms());
    if (out.is_compressed())
        note_compressed(out);
    else if (compression_ && out.fin() && !is_control(out.opcode()))
        ++totals_.uncompressed;
}

void Outbox::note_compressed(const Departing &out, bool ends_history) noexcept
{
    if (ends_history)
        compression_->history.add(out.plain());
    totals_.compressed += out.fin();
    totals_.bytes_before += out.plain().size();
    totals_.bytes_after += out.frame().payload.size();
}

// Of a source, that have left or begun to.
void Outbox::note_items(std::span<const Source::Item> items, SentHistory::Gap &gap)
{
    const bool end_history = gap.close();
    for (const Source::Item &item : items) {
        const Departing out(*item.message, window_bits_);
        if (out.is_compressed())
            note_compressed(out, end_history);
        else
            ++totals_.uncompressed;
    }
}

} // namespace websock
