// settings.cpp: see settings.h.
#include "redis_connection/settings.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace websock::redis {

namespace {

constexpr const char *kDefaultServer = "127.0.0.1:6379";
constexpr std::string_view kUnix = "unix:";
constexpr size_t kMostServers = 256;
constexpr size_t kLongestPrefix = 255;

// "host:port", "[host]:port", or either without a port.
bool read_host(std::string_view text, Address &address)
{
    const bool bracketed = text.starts_with('[');
    const size_t end = bracketed ? text.find(']') : text.rfind(':');
    if (bracketed && end == std::string_view::npos)
        return false;
    address.host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
    const std::string_view rest =
        end == std::string_view::npos ? "" : text.substr(bracketed ? end + 1 : end);
    if (!rest.empty() && (rest[0] != ':' || rest.size() == 1))
        return false;
    address.port = rest.empty() ? "6379" : rest.substr(1);
    const bool is_number = address.port.find_first_not_of("0123456789") == std::string::npos;
    return is_number && !address.host.empty() &&
           (bracketed || address.host.find(':') == std::string::npos);
}

bool read_address(const char *text, Address &address)
{
    address.text = text;
    if (!address.text.starts_with(kUnix))
        return read_host(address.text, address);
    address.path = address.text.substr(kUnix.size());
    return !address.path.empty();
}

// One that is named twice would be two servers with one memory.
bool is_there(const std::vector<Address> &servers, const Address &address)
{
    return std::any_of(servers.begin(), servers.end(),
                       [&](const Address &other) { return other.text == address.text; });
}

std::string read_servers(const libwebsock_redis_options &given, Settings &settings)
{
    if (!given.servers != (given.server_count == 0) || given.server_count > kMostServers)
        return "servers and server_count do not fit together";
    const char *const *servers = given.servers ? given.servers : &kDefaultServer;
    const size_t count = given.servers ? given.server_count : 1;
    for (size_t i = 0; i < count; ++i) {
        Address address;
        if (!servers[i] || !read_address(servers[i], address))
            return std::string("not the address of a server: ") +
                   (servers[i] ? servers[i] : "NULL");
        if (is_there(settings.servers, address))
            return "the server " + address.text + " is named twice";
        settings.servers.push_back(std::move(address));
    }
    return "";
}

bool read_times(const libwebsock_redis_options &given, Settings &settings)
{
    if (given.connect_timeout_ms > 0)
        settings.connect_timeout_ms = given.connect_timeout_ms;
    if (given.command_timeout_ms > 0)
        settings.command_timeout_ms = given.command_timeout_ms;
    return given.connect_timeout_ms >= 0 && given.command_timeout_ms >= 0;
}

} // namespace

std::string read_settings(const libwebsock_redis_options *given, Settings &settings)
{
    libwebsock_redis_options all{};
    if (given && given->size != sizeof all)
        return "size is that of no version of the options";
    if (given)
        std::memcpy(&all, given, sizeof all);
    if (std::string error = read_servers(all, settings); !error.empty())
        return error;
    if (!read_times(all, settings))
        return "a time-out is negative";
    if (all.database < 0)
        return "database is negative";
    if (all.username && !all.password)
        return "a username without a password";
    if (all.prefix && std::strlen(all.prefix) > kLongestPrefix)
        return "prefix is longer than 255 bytes";
    settings.username = all.username ? all.username : "";
    settings.password = all.password ? all.password : "";
    settings.database = all.database;
    settings.prefix = all.prefix ? all.prefix : settings.prefix;
    if (all.max_unsent_bytes > 0)
        settings.max_unsent_bytes = all.max_unsent_bytes;
    return "";
}

} // namespace websock::redis
