// statistics.cpp: see statistics.h.
#include "server/statistics.h"

#include "connection/connection.h"
#include "connection/engine.h"
#include "topics/topics.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

namespace websock {

namespace {

void write_pool_statistics(const CompressionPools &pools, libwebsock_statistics &out)
{
    const PoolFigures deflaters = pools.deflaters.figures();
    const PoolFigures inflaters = pools.inflaters.figures();
    out.connections_compressed = pools.connections;
    out.deflate_microseconds = pools.deflate.ns / 1000;
    out.deflations = pools.deflate.count;
    out.inflate_microseconds = pools.inflate.ns / 1000;
    out.compression_states = deflaters.in_use + deflaters.idle + inflaters.in_use + inflaters.idle;
    out.compression_state_bytes = deflaters.memory + inflaters.memory;
}

} // namespace

void write_statistics(Engine &engine, Topics &topics, libwebsock_statistics &out)
{
    const Registry::Figures connections = engine.registry.figures();
    const Dispatcher::Figures events = engine.dispatcher.figures();
    const Topics::Totals topic_totals = topics.totals();
    const TopicCounts &counts = topics.counts();
    const Registry::Compressed &deflated = connections.traffic.deflated;
    const Registry::Compressed &inflated = connections.traffic.inflated;
    using Refused = Registry::Refused;
    const auto refused = [&](Refused why) { return connections.refused[static_cast<size_t>(why)]; };
    const auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(events.longest);
    libwebsock_statistics all{
        .size = out.size,
        .connections_open = connections.open,
        .connections_accepted = connections.accepted,
        .connections_refused =
            std::accumulate(connections.refused.begin(), connections.refused.end(), 0ULL),
        .messages_in = connections.traffic.messages_in,
        .messages_out = connections.traffic.messages_out,
        .bytes_in = connections.traffic.bytes_in,
        .bytes_out = connections.traffic.bytes_out,
        .events_queued = connections.traffic.events_waiting,
        .workers = events.workers,
        .workers_busy = events.busy,
        .longest_callback_ms = static_cast<unsigned long long>(longest.count()),
        .refused_no_room = refused(Refused::no_room),
        .refused_tls = refused(Refused::tls),
        .refused_late = refused(Refused::late),
        .refused_request = refused(Refused::request),
        .refused_by_onrequest = refused(Refused::onrequest),
        .refused_plain_http = refused(Refused::plain_http),
        .refused_gone = refused(Refused::gone),
        .closed = {},
        .send_timeouts = connections.traffic.send_timeouts,
        .refused_for_newer = refused(Refused::for_newer),
        .topics = topic_totals.topics,
        .topic_bytes = topic_totals.bytes,
        .publications = counts.publications,
        .deliveries = counts.deliveries,
        .replaced = counts.replaced,
        .missed = counts.missed,
        .closed_behind = counts.closed_behind,
        .blocked_writers = engine.flusher.watched(),
        .connections_compressed = 0,
        .deflated_messages = deflated.messages,
        .deflated_bytes_before = deflated.bytes_before,
        .deflated_bytes_after = deflated.bytes_after,
        .uncompressed_messages = connections.traffic.uncompressed,
        .deflations = 0,
        .deflate_microseconds = 0,
        .inflated_messages = inflated.messages,
        .inflated_bytes_before = inflated.bytes_before,
        .inflated_bytes_after = inflated.bytes_after,
        .inflate_microseconds = 0,
        .compression_states = 0,
        .compression_state_bytes = 0};
    if (const CompressionPools *const pools = engine.compression.current())
        write_pool_statistics(*pools, all);
    std::copy(connections.closed.begin(), connections.closed.end(), all.closed);
    std::memcpy(&out, &all, std::min(out.size, sizeof all));
}

} // namespace websock
