// followed_topic.cpp: what a topic does with live messages, and when it fetches. What it does with
// the answers is in followed_topic_page.cpp.
#include "redis/followed_topic.h"

#include "redis_connection/backoff.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace websock::redis {

namespace {

constexpr size_t kMostHeldBytes = 4 << 20; // by all topics of a server
constexpr int kRefusedMs = 5000;
constexpr int kNoMemoryMs = 1000;
constexpr int kMostDisagreements = 3;
constexpr int kRefreshMs = 45 * 60 * 1000; // and up to a third more, so that not all come at once

// What the API takes: with a NUL behind it, or nullptr for none.
const char *c_string(std::string_view text, std::array<char, kMostName + 1> &buffer)
{
    if (text.empty())
        return nullptr;
    buffer[text.copy(buffer.data(), kMostName)] = '\0';
    return buffer.data();
}

} // namespace

void FollowedTopic::subscribed(TopicHost &host)
{
    subscribed_ = true;
    if (fetching_ || refreshing_)
        again_ = true;
    else
        fetch(host);
}

void FollowedTopic::disconnected(TopicHost &host)
{
    subscribed_ = false;
    forget_held(host);
}

void FollowedTopic::live(TopicHost &host, std::string_view bytes)
{
    const std::optional<Live> live = read_live(bytes);
    if (!live)
        return host.ignore(name_);
    if (!is_settled())
        return hold(host, bytes);
    if (!take(host, *live) && !gone_ && !failed_)
        fetch(host);
}

void FollowedTopic::catch_up(TopicHost &host)
{
    wants_end_ = true;
    if (is_settled())
        fetch(host);
    else
        again_ = again_ || fetching_;
}

void FollowedTopic::tick(TopicHost &host)
{
    const bool was_settled = is_settled();
    due_ = kNever;
    failed_ = false;
    if (was_settled)
        refresh(host);
    else if (subscribed_ && !fetching_)
        fetch(host);
}

void FollowedTopic::fetch(TopicHost &host)
{
    forget_held(host);
    if (refreshing_)
        again_ = true; // that answer may be too old
    else
        request(host);
    fetching_ = true;
}

// Live messages go on meanwhile: they may be on their way, and of what an answer says no more.
void FollowedTopic::refresh(TopicHost &host)
{
    request(host);
    refreshing_ = true;
}

void FollowedTopic::request(TopicHost &host)
{
    fail(kNoMemoryMs); // if there is none for it
    host.fetch({name_, following_, epoch_, last_, has_origin_, origin_, limits_, past_});
    failed_ = false;
    refresh_later();
}

void FollowedTopic::refresh_later()
{
    due_ = in_ms(kRefreshMs + static_cast<int>(random_number() % (kRefreshMs / 3)));
}

void FollowedTopic::fail(int retry_ms)
{
    failed_ = true;
    due_ = in_ms(retry_ms);
}

void FollowedTopic::hold(TopicHost &host, std::string_view bytes)
{
    if (overflowed_ || host.held_bytes + bytes.size() > kMostHeldBytes) {
        overflowed_ = true;
        return;
    }
    held_.emplace_back(bytes);
    host.held_bytes += bytes.size();
}

void FollowedTopic::forget_held(TopicHost &host)
{
    for (const std::string &bytes : held_)
        host.held_bytes -= bytes.size();
    held_.clear();
    overflowed_ = false;
}

// What came live while the log was read. What of it the log had already is known by its offset.
void FollowedTopic::replay(TopicHost &host)
{
    bool complete = !overflowed_;
    for (const std::string &bytes : held_) {
        const std::optional<Live> live = read_live(bytes);
        if (live && !take(host, *live)) {
            complete = false;
            break;
        }
    }
    forget_held(host);
    if (!complete && !gone_ && !failed_)
        fetch(host);
}

// False: something is missing before it, or it could not be handed over.
bool FollowedTopic::take(TopicHost &host, const Live &live)
{
    if (live.epoch == epoch_ && live.offset <= last_)
        return true;
    if (live.epoch != epoch_ || live.offset != last_ + 1)
        return false;
    // What is foreign has taken no offset.
    return hand_over(host, live.offset, 0, live.packed) != Outcome::failed;
}

FollowedTopic::Outcome FollowedTopic::hand_over(TopicHost &host, uint64_t offset, uint64_t follows,
                                                std::string_view packed)
{
    const std::optional<Packet> read = unpack(packed);
    if (!read) {
        host.ignore(name_);
        return Outcome::foreign;
    }
    const Packet &packet = *read;
    std::array<char, kMostName + 1> id;
    std::array<char, kMostName + 1> key;
    libwebsock_publication publication{};
    publication.size = sizeof publication;
    publication.topic = name_.c_str();
    publication.opcode = packet.opcode;
    publication.flags = packet.uncompressed ? LIBWEBSOCK_UNCOMPRESSED : 0;
    publication.payload = packet.payload.data();
    publication.payload_len = packet.payload.size();
    publication.id = c_string(packet.id, id);
    publication.key = c_string(packet.key, key);
    libwebsock_delivery delivery{};
    delivery.offset = offset;
    delivery.follows = follows;
    delivery.publication = &publication;
    delivery.publisher = packet.origin.node == host.node ? packet.publisher : 0;
    const Outcome outcome = deliver(host, delivery);
    if (outcome != Outcome::done)
        return outcome;
    has_origin_ = true;
    origin_ = packet.origin;
    ++delivered_;
    host.counters().received.fetch_add(1, std::memory_order_relaxed);
    return outcome;
}

// What of the log has not come up to here is lost.
bool FollowedTopic::skip_to(TopicHost &host, uint64_t offset)
{
    libwebsock_delivery delivery{};
    delivery.offset = offset;
    if (offset != last_)
        has_origin_ = false;
    return deliver(host, delivery) == Outcome::done;
}

FollowedTopic::Outcome FollowedTopic::deliver(TopicHost &host, const libwebsock_delivery &what)
{
    libwebsock_delivery delivery = what;
    delivery.size = sizeof delivery;
    delivery.topic = name_.c_str();
    delivery.epoch = epoch_;
    delivery.following = following_;
    unsigned long long next = 0;
    switch (host.deliver(delivery, next)) {
    case 0:
        last_ = delivery.offset;
        disagreements_ = 0;
        return Outcome::done;
    case EINVAL:
    case EILSEQ:
        host.ignore(name_);
        return Outcome::foreign;
    case ENOENT:
        gone_ = true;
        return Outcome::failed;
    case ERANGE: // the context has less than we thought: go on from there
        last_ = next == 0 ? 0 : next - 1;
        has_origin_ = false;
        if (++disagreements_ > kMostDisagreements)
            fail(kRefusedMs);
        return Outcome::failed;
    default:
        fail(kNoMemoryMs);
        return Outcome::failed;
    }
}

} // namespace websock::redis
