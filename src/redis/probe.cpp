// probe.cpp: see probe.h.
#include "redis/probe.h"

#include "redis/script_call.h"
#include "redis_connection/backoff.h"

#include <array>
#include <cerrno>

namespace websock::redis {

namespace {

// Of a topic that there cannot be: its name is empty.
class Probe
{
  public:
    Probe(const Settings &settings, const Address &address)
        : settings_(settings), calls_(settings), link_(settings, address)
    {
        calls_.set_node(random_number());
    }

    int run()
    {
        if (const int error = link_.open(never_); error != 0)
            return error;
        if (const int error = calls_.load(link_, never_); error != 0)
            return error;
        if (const int error = append(); error != 0)
            return error;
        for (int i = 0; i < kCommands; ++i) {
            if (const int error = take_reply(); error != 0)
                return error;
        }
        return 0;
    }

    const std::string &why() const { return link_.why(); }

  private:
    static constexpr int kCommands = 4;

    int append()
    {
        const std::string epoch = epoch_text(fresh_epoch());
        Publication publication;
        publication.packed = pack({});
        publication.sequence = 1;
        if (const int error = calls_.append_publish(link_, publication, 0, epoch, unix_ms());
            error != 0)
            return error;
        if (const int error = calls_.append_fetch(link_, Fetch(), epoch); error != 0)
            return error;
        const std::string hash = hash_key(settings_.prefix, "");
        const std::string stream = stream_key(settings_.prefix, "");
        if (const int error = link_.append(
                std::array<std::string_view, 4>{"DEL", hash, stream, calls_.last_node_key()});
            error != 0)
            return error;
        const std::string channel = channel_prefix(settings_.prefix, settings_.database);
        return link_.append(std::array<std::string_view, 2>{"SUBSCRIBE", channel});
    }

    int take_reply()
    {
        Reply reply;
        if (const int error = link_.exchange(reply, never_); error != 0)
            return error;
        return reply->type == REDIS_REPLY_ERROR ? link_.refuse(text_of(*reply)) : 0;
    }

    const Settings &settings_;
    const StopSignal never_;
    ScriptCalls calls_;
    Link link_;
};

} // namespace

int probe(const Settings &settings, const Address &address, std::string &why)
{
    Probe probe(settings, address);
    const int error = probe.run();
    if (error != 0)
        why = probe.why();
    return error;
}

} // namespace websock::redis
