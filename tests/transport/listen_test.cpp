// listen_test.cpp: which of several addresses a server listens on, and at which port. That
// libwebsock_bind listens on every address of a host name is tested in interop/environment_test.py.
#include "transport/socket.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <set>
#include <string>
#include <vector>

using namespace websock;

namespace {

struct FreeAddresses {
    void operator()(addrinfo *first) const { freeaddrinfo(first); }
};

// What getaddrinfo(3) finds for each host, as one list.
class Addresses
{
  public:
    Addresses(const std::vector<std::string> &hosts, int port)
    {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
        for (const std::string &host : hosts) {
            addrinfo *found = nullptr;
            REQUIRE(getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0);
            owned_.emplace_back(found);
            listed_.push_back(*found);
        }
        for (size_t i = 0; i < listed_.size(); ++i)
            listed_[i].ai_next = i + 1 < listed_.size() ? &listed_[i + 1] : nullptr;
    }
    const addrinfo *list() const { return listed_.data(); }

  private:
    std::vector<std::unique_ptr<addrinfo, FreeAddresses>> owned_;
    std::vector<addrinfo> listed_;
};

int listen_on(const std::vector<std::string> &hosts, int port, std::vector<UniqueFd> &listeners)
{
    return listen_on_all(Addresses(hosts, port).list(), listeners);
}

std::set<int> ports_of(const std::vector<UniqueFd> &listeners)
{
    std::set<int> ports;
    for (const UniqueFd &listener : listeners)
        ports.insert(port_of(listener.get()));
    return ports;
}

} // namespace

// The clients of other programs have ports of 127.0.0.1, where this one could then not listen.
TEST_CASE("several addresses get one port, a free one or the one asked for")
{
    std::vector<UniqueFd> listeners;
    REQUIRE(listen_on({"127.0.0.3", "127.0.0.4", "::1"}, 0, listeners) == 0);
    CHECK(listeners.size() == 3);
    const std::set<int> ports = ports_of(listeners);
    CHECK(ports.size() == 1);
    listeners.clear();
    REQUIRE(listen_on({"127.0.0.3", "127.0.0.4", "::1"}, *ports.begin(), listeners) == 0);
    CHECK(listeners.size() == 3);
    CHECK(ports_of(listeners) == ports);
}

TEST_CASE("all IPv6 addresses and all IPv4 addresses go together")
{
    std::vector<UniqueFd> listeners;
    CHECK(listen_on({"::", "0.0.0.0"}, 0, listeners) == 0);
    CHECK(listeners.size() == 2);
    CHECK(ports_of(listeners).size() == 1);
}

TEST_CASE("an address that is listed twice gets one listener")
{
    std::vector<UniqueFd> listeners;
    CHECK(listen_on({"127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"}, 0, listeners) == 0);
    CHECK(listeners.size() == 2);
}

TEST_CASE("another machine's address is left out, unless there is no other address")
{
    std::vector<UniqueFd> listeners;
    CHECK(listen_on({"198.51.100.1", "127.0.0.1"}, 0, listeners) == 0);
    CHECK(listeners.size() == 1);
    CHECK(listen_on({"198.51.100.1", "198.51.100.2"}, 0, listeners) == EADDRNOTAVAIL);
    CHECK(listeners.empty());
}

TEST_CASE("a port that is taken on one address is used on none of them")
{
    std::vector<UniqueFd> taken;
    REQUIRE(listen_on({"127.0.0.4"}, 0, taken) == 0);
    const int port = port_of(taken.front().get());
    std::vector<UniqueFd> listeners;
    CHECK(listen_on({"127.0.0.3", "127.0.0.4"}, port, listeners) == EADDRINUSE);
    CHECK(listeners.empty());
    CHECK(listen_on({"127.0.0.3"}, port, listeners) == 0);
}
