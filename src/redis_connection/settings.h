// settings.h: the options of libwebsock_use_redis, read and checked: what an engine is made with.
#pragma once

#include <cstddef>
#include <string>
#include <vector>
#include <websock/redis.h>

namespace websock::redis {

struct Address {
    std::string text; // as it was given: what nodes agree on, and what the log says
    std::string path; // of a Unix socket; or else
    std::string host;
    std::string port;
};

struct Settings {
    std::vector<Address> servers;
    std::string username;
    std::string password;
    int database = 0;
    std::string prefix = "websock:";
    int connect_timeout_ms = 2000;
    int command_timeout_ms = 2000;
    size_t max_unsent_bytes = 16 << 20;
};

// given may be nullptr: all defaults. Empty: all is well; or else what is wrong. Throws
// std::bad_alloc.
std::string read_settings(const libwebsock_redis_options *given, Settings &settings);

} // namespace websock::redis
