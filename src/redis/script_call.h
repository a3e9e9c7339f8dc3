// script_call.h: calls of the two scripts as commands on a link: keys and arguments in the order
// that script.h documents.
#pragma once

#include "redis/command_queue.h"
#include "redis_connection/link.h"

#include <string>

namespace websock::redis {

class ScriptCalls
{
  public:
    explicit ScriptCalls(const Settings &settings)
        : prefix_(settings.prefix), channels_(channel_prefix(settings.prefix, settings.database))
    {
    }

    // Whose publications they are.
    void set_node(uint64_t node) { node_key_ = node_key(prefix_, node); }

    // These return what Link does. load() waits for the server, which must have the scripts before
    // the others are called.
    int load(Link &link, const StopSignal &stop);
    // before: the publication that must have been taken before this one; 0: whichever. now_ms: of
    // unix_ms().
    int append_publish(Link &link, const Publication &publication, uint64_t before,
                       const std::string &epoch, int64_t now_ms);
    int append_fetch(Link &link, const Fetch &fetch, const std::string &epoch);

    const std::string &last_node_key() const { return node_key_; }

  private:
    int load(Link &link, const StopSignal &stop, const std::string &script, std::string &hash);

    const std::string prefix_;
    const std::string channels_;
    std::string node_key_;
    std::string publish_hash_;
    std::string fetch_hash_;
};

} // namespace websock::redis
