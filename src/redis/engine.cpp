// engine.cpp: see engine.h.
#include "redis/engine.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <unistd.h>
#include <utility>

namespace websock::redis {

namespace {

// A server takes at most 512 MiB as one argument, and ends the connection otherwise.
constexpr size_t kMostPayload = (size_t{512} << 20) - 1024;

Limits limits_in(const libwebsock_topic_options &options)
{
    Limits limits;
    if (options.history_messages > 0)
        limits.messages = options.history_messages;
    if (options.history_bytes > 0)
        limits.bytes = options.history_bytes;
    limits.age_ms = options.history_ms;
    return limits;
}

std::string_view view(const char *text)
{
    return text ? std::string_view(text) : std::string_view();
}

} // namespace

Engine::Engine(libwebsock_context &context, Settings settings)
    : context_(context), settings_(std::move(settings)), log_(context),
      unsent_(settings_.max_unsent_bytes)
{
    for (const Address &address : settings_.servers)
        servers_.push_back(std::make_unique<Server>(settings_, address, unsent_, counters_, log_));
}

int Engine::start()
{
    if (const int error = stop_.open(); error != 0)
        return error;
    serves_in_ = ::getpid();
    for (const auto &server : servers_) {
        if (const int error = server->start(context_, stop_); error != 0) {
            stop();
            return error;
        }
    }
    return 0;
}

void Engine::stop()
{
    if (serves_in_ != ::getpid() || stop_.raised())
        return; // it has not begun, or has ended; or its threads are another process's
    stop_.raise(in_ms(settings_.command_timeout_ms));
    for (const auto &server : servers_)
        server->close();
    for (const auto &server : servers_)
        server->join();
    if (const size_t lost = unsent_.messages(); lost > 0)
        log_.write(LIBWEBSOCK_LOG_WARNING, "redis: %zu publications had not left when it stopped",
                   lost);
}

Server &Engine::server_of(std::string_view topic)
{
    const auto less = [&](const auto &a, const auto &b) {
        return a->weight(topic) < b->weight(topic);
    };
    return **std::max_element(servers_.begin(), servers_.end(), less);
}

int Engine::publish(const libwebsock_publication &given, const libwebsock_topic_options &options,
                    unsigned long long publisher)
{
    if (given.payload_len > kMostPayload)
        return EMSGSIZE;
    Packet packet;
    packet.opcode = given.opcode == 0 ? WS_OPCODE_TEXT : given.opcode;
    packet.uncompressed = (given.flags & LIBWEBSOCK_UNCOMPRESSED) != 0;
    packet.publisher = publisher;
    packet.id = view(given.id);
    packet.key = view(given.key);
    packet.payload = {static_cast<const char *>(given.payload), given.payload_len};
    Publication publication;
    publication.topic = given.topic;
    publication.key = packet.key;
    publication.packed = pack(packet);
    publication.limits = limits_in(options);
    return server_of(publication.topic).commands().push(std::move(publication));
}

int Engine::follow(std::string_view topic, const libwebsock_topic_options &options,
                   unsigned long long following)
{
    server_of(topic).follower().follow(topic, following, limits_in(options));
    return 0;
}

int Engine::catch_up(std::string_view topic, unsigned long long following)
{
    server_of(topic).follower().catch_up(topic, following);
    return 0;
}

void Engine::unfollow(std::string_view topic) noexcept
{
    server_of(topic).follower().unfollow(topic);
}

int Engine::stats(libwebsock_redis_statistics &out)
{
    const pid_t serves_in = serves_in_;
    if (serves_in != 0 && serves_in != ::getpid())
        return EPERM;
    libwebsock_redis_statistics all{};
    all.size = out.size;
    all.servers = servers_.size();
    for (const auto &server : servers_) {
        const std::optional<int64_t> away = server->health().away_ms();
        all.servers_connected += away ? 0 : 1;
        all.away_ms = std::max(all.away_ms, static_cast<unsigned long long>(away.value_or(0)));
    }
    all.unsent_messages = unsent_.messages();
    all.unsent_bytes = unsent_.bytes();
    all.published = counters_.published;
    all.received = counters_.received;
    all.duplicates = counters_.duplicates;
    all.gaps_filled = counters_.gaps_filled;
    all.lost_logs = counters_.lost_logs;
    all.ignored = counters_.ignored;
    all.dropped = counters_.dropped;
    std::memcpy(&out, &all, std::min(out.size, sizeof all));
    return 0;
}

} // namespace websock::redis
