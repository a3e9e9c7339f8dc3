// topic_slices_test.cpp: topics with so many subscribers that they stand in several slices, which
// workers run one after the other. What a single subscriber sees is in topics_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <utility>

using namespace test;

namespace {

constexpr size_t kSlice = 256; // as in topics/topic.h

} // namespace

// When one leaves, the last one takes its place, in a slice that may have run already. There is
// one worker, and two callbacks hold it: one until both slices are posted, the other between them.
TEST_CASE("the subscriber that takes another's place gets what had been published before")
{
    Gate between;
    Server server({.settings = [](auto *context) { context->max_workers = 1; },
                   .onmessage =
                       [&](Scene &scene, libwebsock_client_state *, libwebsock_message *msg) {
                           Gate &gate = msg->payload[0] == '1' ? scene.gate : between;
                           CHECK(gate.wait());
                       },
                   .keep_handles = true});
    std::deque<Client> clients;
    for (size_t i = 0; i <= kSlice + 2; ++i) { // one by one, as handles are in the order of onopen
        clients.push_back(Client::open(server.port()));
        server.events().wait(Kind::open, i + 1);
    }
    Client holder = std::move(clients.front());
    clients.pop_front();
    Client other_holder = std::move(clients.front());
    clients.pop_front();
    const auto subscriber = [&](size_t at) { return server.handle(3 + at); };
    for (size_t i = 0; i < kSlice; ++i)
        REQUIRE(subscribe(subscriber(i), "room") == 0);

    holder.send_text("1");
    server.events().wait(Kind::message, 1);
    CHECK(publish(server.context(), {.text = "one"}) == 0);
    other_holder.send_text("2");
    CHECK(eventually([&] { return server.stats().events_queued > 0; }));
    REQUIRE(subscribe(subscriber(kSlice), "room") == 0);
    CHECK(publish(server.context(), {.text = "two"}) == 0);
    server.gate().open();
    server.events().wait(Kind::message, 2);
    CHECK(libwebsock_unsubscribe(subscriber(0), "room") == 0);
    between.open();

    CHECK(clients[kSlice - 1].receive_text() == "one");
    CHECK(clients[kSlice - 1].receive_text() == "two");
    CHECK(clients[kSlice].receive_text() == "two");
}
