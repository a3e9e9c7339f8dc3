// utf8.cpp: fuzz target: the UTF-8 validator against the reference, with text cut in chunks
// and byte by byte.
//
// Input: a byte for the prefix, the chunk lengths, the text.
#include "reference.h"

#include "base/utf8.h"

using namespace websock;
using namespace fuzz;

namespace {

// Where the validator rejects, TextVerdict::kNone if nowhere, when it gets one byte at a time.
size_t rejected_byte(Bytes text)
{
    Utf8Validator validator;
    for (size_t i = 0; i < text.size(); ++i) {
        if (!validator.feed(text.subspan(i, 1)))
            return i;
    }
    return TextVerdict::kNone;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const size_t max = input.byte();
    Chunking chunking(input);
    const Bytes text = input.rest();
    const TextVerdict verdict = judge_text(text);
    Exact whole(text);
    require(is_valid_utf8(whole.span()) == verdict.valid(text.size()),
            "the reference judges the whole text differently");
    require(rejected_byte(text) == verdict.bad_at, "the first invalid byte differs");

    Utf8Validator validator;
    for (size_t at = 0; at < text.size();) {
        const size_t len = chunking.next(text.size() - at);
        Exact chunk(text.subspan(at, len));
        at += len;
        const bool good = validator.feed(chunk.span());
        require(good == (at <= verdict.bad_at), "a chunk is judged differently");
        if (!good)
            break;
        const TextVerdict so_far = judge_text(text.first(at));
        require(validator.complete() == (so_far.whole_characters == at),
                "the end of a chunk is judged differently");
    }

    const size_t prefix = utf8_prefix(whole.span(), max);
    const Bytes cut = text.first(std::min(max, text.size()));
    require(prefix == judge_text(cut).whole_characters, "a prefix is cut in a different place");
    return 0;
}
