// connection_compression.cpp: what a connection does for permessage-deflate (RFC 7692): it agrees
// with the client, and inflates what comes, on its own thread. What is sent is compressed in
// outbox/outbox_compression.cpp.
#include "connection/connection.h"

#include "connection/engine.h"

#include <algorithm>

namespace websock {

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
    Inflation &inflation = *inflation_;
    const bool is_text = frame.message_opcode == Opcode::text;
    // RFC 6455 8.1: as with a message that is not compressed, at the offending byte.
    const auto take = [&](std::span<const uint8_t> plain) {
        if (is_text && !inflation.utf8.feed(plain))
            return false;
        assembly_.add(plain);
        return true;
    };
    has_used_stack_ = true;
    MessageInflater::Result result;
    {
        const CompressionPools::Timer timer(inflation.pools->inflate);
        result = inflation.inflater.feed(frame.bytes(), frame.fin, take);
    }
    inflation.messages.store(inflation.inflater.messages(), std::memory_order_relaxed);
    inflation.bytes_before.store(inflation.inflater.bytes_in(), std::memory_order_relaxed);
    inflation.bytes_after.store(inflation.inflater.bytes_out(), std::memory_order_relaxed);
    inflation.memory.store(inflation.inflater.memory(), std::memory_order_relaxed);
    switch (result) {
    case MessageInflater::Result::ok:
        break;
    case MessageInflater::Result::too_big:
        fail(WS_CLOSE_MESSAGE_TOO_BIG, "message is too big"); // RFC 6455 7.4.1
        return false;
    case MessageInflater::Result::corrupt:
        fail(WS_CLOSE_WRONG_TYPE, "compressed message is corrupt");
        return false;
    case MessageInflater::Result::stopped:
        fail(WS_CLOSE_WRONG_TYPE, "text is not UTF-8");
        return false;
    }
    if (!frame.fin)
        return true;
    if (is_text && !inflation.utf8.complete()) {
        fail(WS_CLOSE_WRONG_TYPE, "text ends inside a character");
        return false;
    }
    inflation.utf8.reset();
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
