// deflate.cpp: fuzz target: whatever is deflated, with whatever history, inflates back: by a zlib
// that is strict about its window, and by our own receiving side.
//
// Input: the level, the window, the length of the history, then messages: how many fragments, the
// room, and their text.
#include "messages.h"

#include "compression/deflate_pool.h"
#include "compression/history.h"
#include "compression/message_inflater.h"
#include "tests/compression/zlib_peer.h"

#include <iterator>
#include <optional>

using namespace websock;
using namespace fuzz;

namespace {

constexpr size_t kMostMessages = 8;
constexpr size_t kMostText = size_t{1} << 20;

std::string inflate(MessageInflater &inflater, Bytes payload)
{
    std::string text;
    const auto result = inflater.feed(payload, true, [&](Bytes plain) {
        text += text_of(plain);
        return true;
    });
    require(result == MessageInflater::Result::ok, "our own side does not read it");
    return text;
}

// The fast levels of zlib, the lazy ones, and the one that takes all the time there is.
DeflaterPool &pool_of(size_t which)
{
    constexpr size_t kLong = History::kMost;
    static DeflaterPool pools[] = {DeflaterPool(1), DeflaterPool(3),        DeflaterPool(4),
                                   DeflaterPool(9), DeflaterPool(1, kLong), DeflaterPool(9, kLong)};
    return pools[which % std::size(pools)];
}

struct Sender {
    DeflaterPool &pool;
    int bits;
    History history;
    std::string all{}; // that was sent
    size_t most;

    // Nothing: there was not room enough.
    std::optional<test::Bytes> deflate(const std::string &plain, bool last, size_t room)
    {
        const std::string before = all.substr(all.size() - std::min(all.size(), most));
        require(text_of(history.bytes()) == before, "the history is another one");
        Exact exact(bytes_of(plain));
        const auto state = pool.take(bits, before.size() + plain.size());
        const Bytes dictionary = state->copy_dictionary(history.bytes());
        const Bytes sent = state->deflate(dictionary, exact.span(), last, room);
        require(sent.size() < std::max<size_t>(room, 1), "more than there is room for");
        if (sent.empty())
            return {};
        history.append(bytes_of(plain));
        all += plain;
        return test::Bytes(sent.begin(), sent.end());
    }
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t how = input.byte();
    const int bits = 8 + how % 8;
    const size_t most = std::min<size_t>(size_t{input.byte()} << input.byte() % 9, History::kMost);
    Sender sender{.pool = pool_of(how / 8), .bits = bits, .history = History(most), .most = most};
    static InflaterPool inflaters;
    MessageInflater inflater(inflaters, bits, true, kMostText);
    test::PeerInflater strict(bits, 1);
    for (size_t i = 0; i < kMostMessages && !input.rest().empty(); ++i) {
        const uint8_t kind = input.byte();
        const size_t fragments = 1 + kind % 3;
        test::Bytes payload;
        std::string text;
        for (size_t n = 1; n <= fragments; ++n) {
            const std::string plain = make_text(input);
            const bool last = n == fragments;
            const size_t roomy = plain.size() + plain.size() / 8 + 100;
            std::optional<test::Bytes> sent;
            if ((kind & 4) != 0)
                sent = sender.deflate(plain, last, plain.size());
            if (!sent)
                sent = sender.deflate(plain, last, roomy);
            require(sent.has_value(), "not even with much room");
            payload.insert(payload.end(), sent->begin(), sent->end());
            text += plain;
        }
        const auto read = strict.inflate(payload, text.size());
        require(read && std::string(read->begin(), read->end()) == text,
                "it does not inflate back");
        require(inflate(inflater, payload) == text, "our own side reads another text");
    }
    return 0;
}
