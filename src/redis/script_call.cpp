// script_call.cpp: see script_call.h.
#include "redis/script_call.h"

#include <array>
#include <cerrno>
#include <charconv>

namespace websock::redis {

namespace {

// A number as text, without an allocation.
class Decimal
{
  public:
    explicit Decimal(uint64_t number)
        : end_(std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr)
    {
    }
    operator std::string_view() const
    {
        return {text_.data(), static_cast<size_t>(end_ - text_.data())};
    }

  private:
    std::array<char, 20> text_;
    const char *end_;
};

} // namespace

int ScriptCalls::load(Link &link, const StopSignal &stop, const std::string &script,
                      std::string &hash)
{
    const std::array<std::string_view, 3> command{"SCRIPT", "LOAD", script};
    Reply reply;
    if (const int error = link.append(command); error != 0)
        return error;
    if (const int error = link.exchange(reply, stop); error != 0)
        return error;
    if (reply->type != REDIS_REPLY_STRING)
        return link.refuse(text_of(*reply));
    hash = text_of(*reply);
    return 0;
}

int ScriptCalls::load(Link &link, const StopSignal &stop)
{
    if (const int error = load(link, stop, publish_script(), publish_hash_); error != 0)
        return error;
    return load(link, stop, fetch_script(), fetch_hash_);
}

int ScriptCalls::append_publish(Link &link, const Publication &publication, uint64_t before,
                                const std::string &epoch, int64_t now_ms)
{
    const std::string hash = hash_key(prefix_, publication.topic);
    const std::string stream = stream_key(prefix_, publication.topic);
    const std::string channel = channels_ + publication.topic;
    const Decimal sequence(publication.sequence);
    const Decimal earlier(before);
    const Decimal messages(publication.limits.messages);
    const Decimal bytes(publication.limits.bytes);
    const Decimal age(static_cast<uint64_t>(publication.limits.age_ms));
    const Decimal keep(static_cast<uint64_t>(keep_ms(publication.limits)));
    const Decimal now(static_cast<uint64_t>(now_ms));
    const std::array<std::string_view, 17> command{"EVALSHA",
                                                   publish_hash_,
                                                   "3",
                                                   hash,
                                                   stream,
                                                   node_key_,
                                                   sequence,
                                                   before == 0 ? std::string_view() : earlier,
                                                   epoch,
                                                   channel,
                                                   messages,
                                                   bytes,
                                                   age,
                                                   keep,
                                                   now,
                                                   publication.key,
                                                   publication.packed};
    return link.append(command);
}

int ScriptCalls::append_fetch(Link &link, const Fetch &fetch, const std::string &epoch)
{
    const std::string hash = hash_key(prefix_, fetch.topic);
    const std::string stream = stream_key(prefix_, fetch.topic);
    const std::string known = fetch.epoch == 0 ? "" : epoch_text(fetch.epoch);
    const std::array<char, 16> origin = origin_bytes(fetch.origin);
    const Decimal last(fetch.last);
    const Decimal age(static_cast<uint64_t>(fetch.limits.age_ms));
    const Decimal keep(static_cast<uint64_t>(keep_ms(fetch.limits)));
    const std::string_view of_last =
        fetch.has_origin ? std::string_view(origin.data(), origin.size()) : std::string_view();
    const std::array<std::string_view, 12> command{"EVALSHA", fetch_hash_, "2",   hash,
                                                   stream,    epoch,       known, last,
                                                   of_last,   age,         keep,  fetch.past};
    return link.append(command);
}

} // namespace websock::redis
