// connection_compression.cpp: what a connection does for permessage-deflate (RFC 7692): it agrees
// with the client, and inflates what comes, on its own thread. What is sent is compressed in
// outbox/outbox_compression.cpp.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>

namespace websock {

namespace {

constexpr size_t kMostInflatedPart = 64 * 1024; // about; bytes

} // namespace

// RFC 7692 5: "... both endpoints MUST use the algorithm described in Section 6 ..."
// Fills in the value of the header that accepts the client's offer, and what is needed to receive.
// nullptr: nothing will be compressed. Throws std::bad_alloc.
std::unique_ptr<SendCompression> Connection::agree_on_compression(const HookAnswer &hook,
                                                                  std::string &answer)
{
    const libwebsock_context &settings = engine_.settings;
    const std::shared_ptr<CompressionPools> &pools = engine_.compression.pools();
    if (!pools || hook.refuses_compression)
        return nullptr;
    const std::vector<std::string_view> offers = request_.extension_offers();
    const std::optional<CompressionParameters> agreed =
        negotiate_compression(offers, {.client_window_bits = settings.compression_window_bits,
                                       .keeps_history = settings.compression_history > 0});
    if (!agreed)
        return nullptr;
    const size_t window = size_t{1} << agreed->server_window_bits;
    // RFC 7692 7.2.1: "... the server MUST start compressing each new message with an empty ..."
    const size_t history =
        agreed->server_context_takeover ? std::min(settings.compression_history, window) : 0;
    auto compression = std::make_unique<SendCompression>(
        pools, agreed->server_window_bits, history, engine_.compression_threshold(history > 0));
    answer = compression_answer(*agreed);
    inflation_ = std::make_unique<Inflation>(pools, *agreed, settings.max_message_payload);
    return compression;
}

// As take_data().
// RFC 7692 6.2: "... MUST use the following algorithm to receive ... a compressed message."
bool Connection::take_compressed(const Decoded &frame)
{
    inflation_->frame = frame;
    return inflate([&](const MessageInflater::Take &take) {
        return inflation_->inflater.feed(frame.bytes(), frame.fin, take);
    });
}

// Of the frame that a session has received a part of.
bool Connection::take_compressed_rest()
{
    return inflate(
        [&](const MessageInflater::Take &take) { return inflation_->inflater.resume(take); });
}

template<class Step> bool Connection::inflate(const Step &step)
{
    Inflation &inflation = *inflation_;
    const Decoded &frame = inflation.frame;
    const bool in_parts = frame.kind == Decoded::part;
    const bool is_text = frame.message_opcode == Opcode::text;
    // RFC 6455 8.1: as with a message that is not compressed, at the offending byte.
    const MessageInflater::Take take = [&](std::span<const uint8_t> plain) {
        if (is_text && !inflation.utf8.feed(plain))
            return false;
        assembly_.add(plain);
        // A few bytes may become many: they are handed over on the way.
        if (in_parts && assembly_.len() >= kMostInflatedPart)
            inflation.inflater.pause();
        return true;
    };
    MessageInflater::Result result = timed(step, take);
    while (result == MessageInflater::Result::paused) {
        if (!add_assembled_part(frame.message_opcode, false))
            return false;
        if (own_session_)
            return true; // the rest when it is asked for: take_compressed_rest()
        if (!queue_events())
            return false;
        if (outbox_.state() != Outbox::State::open)
            return true; // nothing is delivered any more
        result = timed([&](const auto &) { return inflation.inflater.resume(take); }, take);
    }
    return end_inflated_frame(result);
}

template<class Step>
MessageInflater::Result Connection::timed(const Step &step, const MessageInflater::Take &take)
{
    Inflation &inflation = *inflation_;
    has_used_stack_ = true;
    const CompressionPools::Timer timer(inflation.pools->inflate);
    const MessageInflater::Result result = step(take);
    inflation.messages.store(inflation.inflater.messages(), std::memory_order_relaxed);
    inflation.bytes_before.store(inflation.inflater.bytes_in(), std::memory_order_relaxed);
    inflation.bytes_after.store(inflation.inflater.bytes_out(), std::memory_order_relaxed);
    inflation.memory.store(inflation.inflater.memory(), std::memory_order_relaxed);
    return result;
}

bool Connection::end_inflated_frame(MessageInflater::Result result)
{
    Inflation &inflation = *inflation_;
    const Decoded &frame = inflation.frame;
    const bool in_parts = frame.kind == Decoded::part;
    if (result == MessageInflater::Result::too_big) {
        fail(WS_CLOSE_MESSAGE_TOO_BIG, "message is too big"); // RFC 6455 7.4.1
        return false;
    }
    if (result != MessageInflater::Result::ok) {
        const bool is_corrupt = result == MessageInflater::Result::corrupt;
        fail(WS_CLOSE_WRONG_TYPE,
             is_corrupt ? "compressed message is corrupt" : "text is not UTF-8");
        return false;
    }
    if (!frame.fin)
        return !in_parts || add_assembled_part(frame.message_opcode, false);
    if (frame.message_opcode == Opcode::text && !inflation.utf8.complete()) {
        fail(WS_CLOSE_WRONG_TYPE, "text ends inside a character");
        return false;
    }
    inflation.utf8.reset();
    if (in_parts)
        return add_assembled_part(frame.message_opcode, true);
    assembly_.add({}); // an empty message has memory, too: for its NUL
    // One read may bring many that get large. So none of them is inflated before there is room.
    const bool is_large = assembly_.len() >= Inflater::kStride;
    return add_assembled(frame.message_opcode) && (!is_large || queue_events());
}

bool Connection::compression_info(libwebsock_compression_info &info)
{
    const Inflation *const in = inflation();
    if (!in)
        return false;
    const CompressionParameters &agreed = in->agreed;
    const Outbox::Totals sent = outbox_.totals();
    info = {.size = info.size,
            .server_window_bits = agreed.server_window_bits,
            .client_window_bits = agreed.client_window_bits,
            .server_context_takeover = agreed.server_context_takeover ? 1 : 0,
            .client_context_takeover = agreed.client_context_takeover ? 1 : 0,
            .messages_in = in->messages.load(std::memory_order_relaxed),
            .bytes_in_before = in->bytes_before.load(std::memory_order_relaxed),
            .bytes_in_after = in->bytes_after.load(std::memory_order_relaxed),
            .messages_out = sent.compressed,
            .bytes_out_before = sent.bytes_before,
            .bytes_out_after = sent.bytes_after,
            .messages_out_uncompressed = sent.uncompressed,
            .memory = sent.history + in->memory.load(std::memory_order_relaxed)};
    return true;
}

} // namespace websock
