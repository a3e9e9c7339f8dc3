// script.h: what a server does in one step: a publication enters a log and goes out, or a node gets
// what it has missed. The Lua text, and the names of keys and channels. Who calls it is elsewhere.
//
// A topic has a hash and a stream. The stream's entries have the ids OFFSET-MILLISECONDS, and the
// fields m, the packet, and k, its key if it has one. The hash has the field s: the log's epoch,
// newest offset, highest offset that the limits have taken, number and bytes of its messages, time
// of the oldest one, and the time at which all of it expires; and for each key k:KEY, the id of its
// entry and its size. Names and payloads are only ever parts of keys and arguments, never of the
// text of a script.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace websock::redis {

// What a topic keeps.
struct Limits {
    size_t messages = 256;
    size_t bytes = 1 << 20;
    int age_ms = 0; // 0: they do not age
};

// KEYS: hash, stream, what the node has published last. ARGV: sequence; the one that must have been
// taken before, or ""; a fresh epoch; channel; the limits (3); for how many milliseconds keys are
// kept; the node's time, which decides only when they expire; the message's key, or ""; the packet.
// Answers one of:
std::string publish_script();
inline constexpr long long kTaken = 1;
inline constexpr long long kDuplicate = 0;
inline constexpr long long kOutOfOrder = -1;

// KEYS: hash, stream. ARGV: a fresh epoch; the known one, or ""; the last offset that is known; the
// origin of its message, or ""; the age limit; for how many milliseconds keys are kept; epochs
// before the known one, one behind the other. Answers the epoch, o, t, 1 if there is more, and then
// id and packet of each message behind the known offset. It has found out that the log is lost if
// the epoch is another one. One from before is in older data that has come back: then it begins
// anew, too.
std::string fetch_script();

// For how long keys are kept that nobody uses.
int64_t keep_ms(const Limits &limits);

// The names of one topic's keys. prefix and database are the settings'.
std::string hash_key(std::string_view prefix, std::string_view topic);
std::string stream_key(std::string_view prefix, std::string_view topic);
// Channels are shared by all databases of a server, so they name it.
std::string channel_prefix(std::string_view prefix, int database);
std::string node_key(std::string_view prefix, uint64_t node);

} // namespace websock::redis
