// queue_test.cpp: sending to one client without waiting: what is queued, what is refused, and when
// ondrain comes.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>

using namespace test;

namespace {

int queue(libwebsock_client_state *client, const std::string &text)
{
    return error_of(libwebsock_queue_text(client, text.data(), text.size()));
}

} // namespace

TEST_CASE("what is queued comes in order with what is sent")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    CHECK(queue(handle, "one") == 0);
    CHECK(libwebsock_send_text(handle, "two") == 0);
    CHECK(error_of(libwebsock_queue_binary(handle, "three", 5)) == 0);
    CHECK(client.receive_text() == "one");
    CHECK(client.receive_text() == "two");
    CHECK(client.receive_frame().payload == "three");
    CHECK(eventually([&] { return libwebsock_queued_bytes(handle) == 0; }));
}

TEST_CASE("beyond max_queued_bytes a message is refused, and ondrain comes when all has left")
{
    static std::atomic<int> drains;
    drains = 0;
    constexpr size_t kQueued = 1 << 20;
    Server server({.settings =
                       [](auto *context) {
                           context->max_queued_bytes = kQueued;
                           context->ondrain = [](libwebsock_client_state *client) {
                               ++drains;
                               return libwebsock_queue_text(client, "drained", 7);
                           };
                       },
                   .keep_handles = true});
    Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    libwebsock_client_state *handle = server.handle();
    const std::string text(10'000, 'x');
    size_t queued = 0;
    int error = 0;
    while ((error = queue(handle, text)) == 0)
        ++queued;
    CHECK(error == ENOBUFS);
    CHECK(queue(handle, text) == ENOBUFS);
    CHECK(libwebsock_queued_bytes(handle) <= kQueued);
    CHECK(libwebsock_queued_bytes(handle) > kQueued - 2 * text.size());
    CHECK(drains == 0);
    for (size_t i = 0; i < queued; ++i)
        CHECK(client.receive_text() == text);
    CHECK(client.receive_text() == "drained");
    CHECK(drains == 1);
    CHECK(queue(handle, "more") == 0);
    CHECK(client.receive_text() == "more");
    CHECK(drains == 1);
}

TEST_CASE("queueing refuses what sending refuses")
{
    Server server({.keep_handles = true});
    {
        Client client = Client::open(server.port());
        CHECK(queue(server.handle(), "\xff") == EILSEQ);
        CHECK(error_of(libwebsock_queue_text(nullptr, "x", 1)) == EINVAL);
        CHECK(error_of(libwebsock_queue_binary(server.handle(), nullptr, 1)) == EINVAL);
        CHECK(libwebsock_queued_bytes(nullptr) == 0);
        client.reset();
    }
    server.events().wait(Kind::close);
    CHECK(queue(server.handle(), "x") == ENOTCONN);
    CHECK(libwebsock_queued_bytes(server.handle()) == 0);
}
