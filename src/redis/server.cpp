// server.cpp: see server.h.
#include "redis/server.h"

namespace websock::redis {

namespace {

// FNV-1a. All nodes of a cluster must agree on it, so it may never change.
uint64_t hash_of(std::string_view text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

// The end of MurmurHash3: each bit of the result depends on all of the number's.
uint64_t mixed(uint64_t number)
{
    number = (number ^ number >> 33) * 0xff51afd7ed558ccd;
    number = (number ^ number >> 33) * 0xc4ceb9fe1a85ec53;
    return number ^ number >> 33;
}

} // namespace

Server::Server(const Settings &settings, const Address &address, Unsent &unsent, Counters &counters,
               Log &log)
    : hash_(hash_of(address.text)), health_(log, address.text),
      publisher_(settings, address, unsent, counters, health_, log),
      follower_(settings, address, publisher_.queue(), counters, health_, log)
{
}

uint64_t Server::weight(std::string_view topic) const
{
    return mixed(hash_ ^ mixed(hash_of(topic)));
}

int Server::start(libwebsock_context &context, const StopSignal &stop)
{
    // The number belongs to this pair of connections: its publications are counted.
    const uint64_t node = random_number();
    if (const int error = follower_.start(context, node, stop); error != 0)
        return error;
    return publisher_.start(node, stop, follower_);
}

void Server::join()
{
    follower_.join();
    publisher_.join();
}

} // namespace websock::redis
