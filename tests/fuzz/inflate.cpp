// inflate.cpp: fuzz target: the receiving side of compressed messages, in frames that are cut
// anywhere, against zlib that inflates each message at once.
//
// Input: the window and whether it is taken over, the longest message, then messages: what each
// is, how it is cut, and its bytes or those that it is made of.
#include "messages.h"

#include "compression/message_inflater.h"
#include "tests/compression/zlib_peer.h"

#include <optional>

using namespace websock;
using namespace fuzz;
using Result = MessageInflater::Result;

namespace {

constexpr size_t kMostMessages = 8;

// What an ordinary peer would send, as a sequence of texts that were deflated in different ways.
class Sender
{
  public:
    explicit Sender(int window_bits) : deflater_(std::max(window_bits, 9), 6) {}

    test::Bytes message(Input &input)
    {
        static constexpr int kHow[] = {Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK, Z_PARTIAL_FLUSH};
        test::Bytes payload;
        for (size_t parts = input.byte() % 4; parts > 0; --parts) {
            const test::Bytes part =
                deflater_.run(bytes_of(make_text(input)), kHow[input.byte() % 4]);
            payload.insert(payload.end(), part.begin(), part.end());
        }
        const test::Bytes end = deflater_.deflate(bytes_of(make_text(input)));
        payload.insert(payload.end(), end.begin(), end.end());
        return payload;
    }

  private:
    test::PeerDeflater deflater_;
};

struct Receiver {
    MessageInflater inflater;
    std::string text{};

    Result feed(Bytes payload, Input &cuts, uint64_t most)
    {
        text.clear();
        Chunking chunking(cuts);
        for (size_t at = 0;;) {
            const size_t len = chunking.next(payload.size() - at);
            Exact frame(payload.subspan(at, len));
            at += len;
            const bool fin = at == payload.size();
            const Result result = inflater.feed(frame.span(), fin, [&](Bytes plain) {
                require(!plain.empty() && plain.size() <= Inflater::kStride, "odd plain bytes");
                text += text_of(plain);
                return true;
            });
            require(text.size() <= most, "more text came than a message may have");
            if (result != Result::ok || fin)
                return result;
        }
    }
};

bool equal(const std::optional<test::Bytes> &bytes, const std::string &text)
{
    return bytes && std::equal(bytes->begin(), bytes->end(), text.begin(), text.end(),
                               [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t how = input.byte();
    const int bits = 8 + how % 8;
    const bool takeover = (how & 8) != 0;
    const size_t most = size_t{input.byte()} << input.byte() % 9;
    static InflaterPool pool; // so that each input gets states that others have used
    Receiver receiver{MessageInflater(pool, bits, takeover, most)};
    Sender sender(bits);
    // zlib lets some messages refer back further than the window, depending on how much text it
    // sees at a time. We may let some of these, too.
    std::optional<test::PeerInflater> strict;
    std::optional<test::PeerInflater> lenient;
    for (size_t i = 0; i < kMostMessages && !input.rest().empty(); ++i) {
        if (!takeover || i == 0) {
            strict.emplace(bits, 1);
            lenient.emplace(bits);
        }
        const uint8_t kind = input.byte();
        const Bytes lengths = input.take(Chunking::kLengths);
        Input cuts(lengths.data(), lengths.size());
        test::Bytes payload;
        if ((kind & 1) == 0) {
            const Bytes raw = input.take(kind / 2);
            payload.assign(raw.begin(), raw.end());
        } else {
            payload = sender.message(input);
            if ((kind & 2) != 0)
                payload[input.byte() % payload.size()] ^= kind;
        }
        const auto wanted = strict->inflate(payload, most);
        const auto possible = lenient->inflate(payload, most);
        const Result result = receiver.feed(payload, cuts, most);
        if (result != Result::ok) {
            require(!wanted, "a message is refused, but it is good");
            require(result != Result::stopped, "it was stopped, but nobody has");
            break;
        }
        require(equal(possible, receiver.text), "another text");
        require(receiver.inflater.memory() <= (takeover ? size_t{1} << bits : 0),
                "too much is kept");
        if (!wanted)
            break; // the strict one is lost
    }
    require(pool.figures().in_use == 0, "a state was not given back");
    return 0;
}
