// max_handshakes_test.cpp: what happens to connections not yet upgraded when there are
// max_handshakes of them. How many TLS handshakes compute at a time is in
// handshake_gate_test.cpp.
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace test;

namespace {

const Client::Options kBare{.transport = Transport::plain}; // no TLS, whatever the port expects

constexpr int kLong = 60'000; // ms; a connection that ends sooner was not ended by a deadline

// Only max_handshakes ends connections here.
std::function<void(libwebsock_context *)> at_most(size_t handshakes)
{
    return [=](libwebsock_context *context) {
        context->max_handshakes = handshakes;
        context->handshake_timeout_ms = context->close_timeout_ms = kLong;
    };
}

// Connections that send nothing, all of them accepted. They come a few at a time: a busy machine
// may need longer than one deadline for all of them.
std::vector<Client> connect_silent(size_t count, Server &server)
{
    constexpr size_t kAtOnce = 50;
    const unsigned long long before = server.stats().connections_accepted;
    std::vector<Client> silent;
    silent.reserve(count);
    while (silent.size() < count) {
        silent.emplace_back(server.port(), kBare);
        if (silent.size() % kAtOnce == 0 || silent.size() == count)
            REQUIRE(eventually(
                [&] { return server.stats().connections_accepted == before + silent.size(); }));
    }
    return silent;
}

size_t still_there(std::vector<Client> &clients)
{
    size_t count = 0;
    for (Client &client : clients)
        count += !client.has_input();
    return count;
}

// An onrequest that holds requests for /slow until the gate opens.
int hold_slow(Scene &scene, libwebsock_client_state *, const libwebsock_request *request)
{
    if (std::string_view(request->path) == "/slow")
        scene.gate.wait();
    return 0;
}

size_t threads()
{
    std::FILE *file = std::fopen("/proc/self/status", "re");
    REQUIRE(file != nullptr);
    char line[256];
    size_t count = 0;
    while (std::fgets(line, sizeof line, file))
        if (std::sscanf(line, "Threads: %zu", &count) == 1)
            break;
    std::fclose(file);
    return count;
}

// Whether a new connection becomes a client at the first attempt.
bool gets_in(int port)
{
    Client client(port, {.tls = {.may_be_refused = true}});
    if (over_tls() && client.tls().error() != "")
        return false;
    client.send_raw(upgrade_request());
    return client.receive_http().status == 101;
}

} // namespace

TEST_CASE("at max_handshakes a newcomer gets its 101, and the connection silent longest is dropped")
{
    Server server({.settings = at_most(8), .onmessage = echo});
    std::vector<Client> silent = connect_silent(8, server);
    CHECK(still_there(silent) == 8);
    Client newcomer = Client::open(server.port());
    newcomer.send_text("in");
    CHECK(newcomer.receive_text() == "in");
    silent[0].drain();
    CHECK(still_there(silent) == 7); // of the others
    CHECK(eventually([&] { return server.stats().refused_for_newer == 1; }));
    CHECK(server.stats().connections_refused == 1);
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"max_handshakes", "1 made room"}));
    CHECK(server.log().has(LIBWEBSOCK_LOG_DEBUG, {silent[0].address(), "made room"}));
}

TEST_CASE("a connection whose bytes trickle in still counts as silent longest")
{
    Server server({.settings = at_most(8)});
    std::vector<Client> slow = connect_silent(8, server);
    const std::string beginning = over_tls() ? "\x16\x03\x01" : "GET";
    for (size_t i = 0; i < beginning.size(); ++i) {
        slow[0].send_raw(beginning.substr(i, 1));
        if (!over_tls()) // TLS bytes of a handshake are not counted
            CHECK(eventually([&] { return server.stats().bytes_in == i + 1; }));
    }
    Client::open(server.port());
    slow[0].drain();
    CHECK(still_there(slow) == 7);
}

TEST_CASE("a connection whose request is in onrequest does not make room")
{
    Server server({.settings = at_most(8), .onrequest = hold_slow});
    Client asking(server.port());
    asking.send_raw(upgrade_request("/slow"));
    server.events().wait(Kind::request);
    std::vector<Client> silent = connect_silent(7, server);
    std::vector<std::vector<Client>> newer;
    for (Client &oldest : silent) {
        Client::open(server.port());
        oldest.drain();
        newer.push_back(connect_silent(1, server)); // so that there are eight again
    }
    CHECK_FALSE(asking.has_input());
    server.gate().open();
    CHECK(asking.receive_http().status == 101);
}

TEST_CASE("when all are in onrequest a newcomer is told that there is no room")
{
    Server server({.settings = at_most(2), .onrequest = hold_slow});
    std::vector<Client> asking = connect_many(2, server.port());
    for (Client &client : asking)
        client.send_raw(upgrade_request("/slow"));
    server.events().wait(Kind::request, 2);
    LateComer late;
    late.connect(server.port());
    CHECK(late.is_turned_away());
    CHECK(server.stats().refused_no_room == 1);
    CHECK(server.log().has(LIBWEBSOCK_LOG_WARNING, {"no room", "max_handshakes"}));
    server.gate().open();
    for (Client &client : asking)
        CHECK(client.receive_http().status == 101);
    Client::open(server.port());
    CHECK(server.stats().refused_for_newer == 0);
}

TEST_CASE("clients that are upgraded do not count as handshakes")
{
    Server server({.settings = at_most(1), .onmessage = echo});
    std::vector<Client> clients;
    for (int i = 0; i < 10; ++i)
        clients.push_back(Client::open(server.port()));
    for (Client &client : clients) {
        client.send_text("there?");
        CHECK(client.receive_text() == "there?");
    }
    CHECK(server.stats().connections_refused == 0);
}

TEST_CASE("a connection that was answered but does not leave makes room, and is counted once")
{
    Server server({.settings = at_most(1)});
    Client stays(server.port());
    stays.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(stays.receive_http().status == 426);
    CHECK(eventually([&] { return server.stats().refused_request == 1; }));
    Client::open(server.port());
    stays.drain();
    CHECK(server.stats().connections_refused == 1);
}

TEST_CASE("max_handshakes of 0 means no limit")
{
    Server server({.settings = at_most(0)});
    std::vector<Client> silent = connect_silent(crowd(1200, 1100), server);
    Client::open(server.port());
    CHECK(still_there(silent) == silent.size());
    CHECK(server.stats().connections_refused == 0);
}

TEST_CASE("connections that come faster than they can be ended do not create more threads")
{
    constexpr size_t kHandshakes = 20;
    constexpr size_t kSpare = 300; // threads that end or wait for more to do, and workers
    Server server({.settings = at_most(kHandshakes), .onmessage = echo});
    Bystander bystander(server.port());
    const size_t before = threads();
    size_t most = 0;
    std::vector<Client> flood;
    for (size_t i = 0; i < crowd(1500, 800); ++i) {
        flood.emplace_back(server.port(), kBare);
        if (i % 16 == 0)
            most = std::max(most, threads());
    }
    CHECK(most <= before + kHandshakes + kSpare);
    CHECK(bystander.is_served());
    CHECK(eventually([&] { return gets_in(server.port()); }));
    const libwebsock_statistics stats = server.stats();
    CHECK(stats.connections_refused == stats.refused_for_newer + stats.refused_no_room);
}
