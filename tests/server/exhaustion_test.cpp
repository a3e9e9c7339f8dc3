// exhaustion_test.cpp: what happens to a server and its clients when the system runs out of
// descriptors, threads or memory, and when it has some again. Reaching max_connections is in
// refusal_test.cpp, single allocations that fail are in allocation_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"
#include "tests/support/limit.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <unistd.h>

using namespace test;

namespace {

rlim_t address_space_in_use()
{
    unsigned long long pages = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "re");
    REQUIRE(file != nullptr);
    REQUIRE(std::fscanf(file, "%llu", &pages) == 1);
    std::fclose(file);
    return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

bool is_echoed(Client &client)
{
    client.send_text("still there?");
    return client.receive_text() == "still there?";
}

} // namespace

TEST_CASE("without descriptors new connections are turned away, and the others go on")
{
    Server server({.onmessage = echo});
    Bystander bystander(server.port());
    std::array<LateComer, 5> late;
    {
        const Limit limit(RLIMIT_NOFILE, lowest_free_descriptor());
        for (LateComer &client : late) {
            client.connect(server.port());
            CHECK(client.is_turned_away());
        }
        CHECK(bystander.is_served());
    }
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"accept", "are refused"}));
    CHECK(eventually([&] { return server.stats().refused_no_room == late.size(); }));
    CHECK(server.stats().connections_accepted == late.size() + 1);
    Client next = Client::open(server.port());
    CHECK(is_echoed(next));
    CHECK(bystander.is_served());
}

TEST_CASE("without threads new connections are turned away, and the others go on")
{
    constexpr rlim_t kMiB = 1 << 20;
    Server server({.settings = [](auto *context) { context->connection_stack_bytes = 256 * kMiB; },
                   .onmessage = echo});
    Bystander bystander(server.port());
    std::array<LateComer, 5> late;
    {
        const Limit limit(RLIMIT_AS, address_space_in_use() + 128 * kMiB);
        for (LateComer &client : late) {
            client.connect(server.port());
            CHECK(client.is_turned_away());
        }
        CHECK(bystander.is_served());
    }
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"no room", "no thread"}));
    CHECK(server.stats().refused_no_room == late.size());
    Client next = Client::open(server.port());
    CHECK(is_echoed(next));
    CHECK(bystander.is_served());
}

TEST_CASE("without memory new connections are turned away, and the others survive")
{
    // The fixture's log would itself allocate.
    Server server({.settings = [](auto *context) { context->onlog = nullptr; }, .onmessage = echo});
    Client client = Client::open(server.port());
    CHECK(is_echoed(client));
    std::array<LateComer, 5> late;
    {
        const FailingAllocations failing(1, Failing::from_then);
        for (LateComer &other : late) {
            other.connect(server.port());
            CHECK(other.is_turned_away());
        }
        CHECK(failing.have_begun());
    }
    CHECK(is_echoed(client));
    Client next = Client::open(server.port());
    CHECK(is_echoed(next));
}

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a server that cannot accept for lack of descriptors waits for one, and does not spin")
{
    Server server({.onmessage = echo, .transport = Transport::plain});
    Client first(server.port(), {.transport = Transport::plain});
    first.handshake(); // so the server has started
    LateComer late;
    {
        // Below the number already open, so that freeing the reserve descriptor does not help.
        const Limit limit(RLIMIT_NOFILE, 3);
        late.connect(server.port());
        CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"accept"}));
        CHECK(is_at_rest());
    }
    Client client = Client::over(late.release());
    client.handshake();
    CHECK(is_echoed(client));
}

TEST_SUITE_END();
