// absent_callbacks_test.cpp: clients whose onopen or onclose is absent, and so costs no worker: all
// else is as with one. What callbacks are called for is in the other files.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <pthread.h>
#include <string_view>

using namespace test;

namespace {

Behaviour without_onopen_and_onclose(Behaviour other = {})
{
    other.settings = [](auto *context) {
        context->onopen = nullptr;
        context->onclose = nullptr;
    };
    return other;
}

void close_and_drain(Client &client)
{
    client.send_close(WS_CLOSE_NORMAL);
    client.receive_close();
    client.drain();
}

std::atomic<int> calls;
std::atomic<int> freed_on_workers;

void free_on_worker(void *)
{
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    freed_on_workers += std::string_view(name) == "ws-worker";
}

int count_call(libwebsock_client_state *) { return ++calls; }

} // namespace

TEST_CASE("clients without onopen and onclose are served and counted")
{
    Server server(without_onopen_and_onclose({.onmessage = echo}));
    Client client = Client::open(server.port());
    client.send_text("one");
    CHECK(client.receive_text() == "one");
    CHECK(server.stats().connections_open == 1);
    close_and_drain(client);
    CHECK(eventually([&] { return server.stats().connections_open == 0; }));
    CHECK(server.stats().closed[0] == 1);
}

TEST_CASE("a client without onopen and onclose that is cut off is counted")
{
    Server server(without_onopen_and_onclose());
    Client client = Client::open(server.port());
    client.reset();
    CHECK(eventually([&] { return server.stats().closed[6] == 1; }));
    CHECK(server.stats().connections_open == 0);
}

TEST_CASE("an onopen that onrequest sets runs")
{
    calls = 0;
    Server server(without_onopen_and_onclose({.onrequest = [](Scene &, auto *client, auto *) {
        client->onopen = count_call;
        return 0;
    }}));
    Client client = Client::open(server.port());
    CHECK(eventually([] { return calls == 1; }));
}

TEST_CASE("an onclose that a callback sets runs, and one that it takes away does not")
{
    calls = 0;
    Server server({.settings =
                       [](auto *context) {
                           context->onopen = nullptr;
                           context->onclose = count_call;
                       },
                   .onmessage =
                       [](Scene &, auto *client, auto *msg) {
                           client->onclose = msg->payload_len > 0 ? count_call : nullptr;
                       }});
    for (const char *text : {"", "set", ""}) {
        Client client = Client::open(server.port());
        client.send_text(text);
        close_and_drain(client);
    }
    CHECK(eventually([&] { return server.stats().closed[0] == 3; }));
    CHECK(calls == 1);
}

TEST_CASE("what is posted to a client without onopen runs on a worker")
{
    std::atomic<libwebsock_client_state *> handle = nullptr;
    Server server(without_onopen_and_onclose({.onrequest = [&](Scene &, auto *client, auto *) {
        libwebsock_retain(client);
        handle = client;
        return 0;
    }}));
    Client client = Client::open(server.port());
    const auto say = [](libwebsock_client_state *to, void *) {
        libwebsock_send_text(to, "posted");
    };
    CHECK(eventually([&] { return libwebsock_post(handle, say, nullptr) == 0; }));
    CHECK(client.receive_text() == "posted");
    close_and_drain(client);
    CHECK(eventually([&] { return libwebsock_post(handle, say, nullptr) == -1; }));
    libwebsock_release(handle);
}

TEST_CASE("without onclose, the argument of a client's timer is freed on a worker, too")
{
    freed_on_workers = 0;
    Server server(without_onopen_and_onclose({.onmessage = [](Scene &, auto *client, auto *) {
        const auto nothing = [](libwebsock_client_state *, void *) {};
        CHECK(libwebsock_start_timer(client->ctx, client, 60'000, 0, nothing, nullptr,
                                     free_on_worker) != 0);
        libwebsock_send_text(client, "set");
    }}));
    Client client = Client::open(server.port());
    client.send_text("");
    CHECK(client.receive_text() == "set");
    close_and_drain(client);
    CHECK(eventually([] { return freed_on_workers == 1; }));
}
