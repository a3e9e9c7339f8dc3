// queue_test.cpp: sending to one client without waiting: what is queued, what is refused, and when
// ondrain comes.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

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

// One worker; it is in another client's callback when the second client is opened, which a thread
// has a handle of from onrequest.
TEST_CASE("ondrain does not come before onopen")
{
    static std::atomic<bool> opened;
    static std::atomic<int> drained_unopened;
    static std::atomic<int> drains;
    static std::atomic<libwebsock_client_state *> second;
    opened = false;
    drained_unopened = drains = 0;
    second = nullptr;
    Gate asked; // onrequest may return
    Server server(
        {.settings =
             [](auto *context) {
                 context->max_workers = 1;
                 context->max_queued_bytes = 100'000;
                 context->ondrain = [](libwebsock_client_state *) {
                     drained_unopened += !opened;
                     return ++drains;
                 };
             },
         .onopen = [](Scene &,
                      libwebsock_client_state *client) { opened = opened || client == second; },
         .onmessage = [](Scene &scene, libwebsock_client_state *,
                         libwebsock_message *) { CHECK(scene.gate.wait()); },
         .onrequest =
             [&](Scene &, libwebsock_client_state *client, const libwebsock_request *request) {
                 if (std::string(request->path) == "/second") {
                     second = libwebsock_retain(client);
                     CHECK(asked.wait());
                 }
                 return 0;
             }});
    Client first = Client::open(server.port());
    server.events().wait(Kind::open);
    Client client(server.port(), {.receive_buffer = 4096});
    std::thread shake_hands([&] { client.handshake("/second"); });
    CHECK(eventually([&] { return second != nullptr; }));
    first.send_text("block");
    CHECK(eventually([&] { return server.stats().events_queued > 0; }));
    asked.open();
    shake_hands.join();
    const std::string text(10'000, 'x');
    int queued = 0;
    int error = 0;
    while ((error = queue(second, text)) == 0)
        ++queued;
    CHECK(error == ENOBUFS);
    for (int i = 0; i < queued; ++i)
        CHECK(client.receive_text() == text);
    CHECK(eventually([&] { return libwebsock_queued_bytes(second) == 0; }));
    CHECK_FALSE(opened);
    server.gate().open();
    CHECK(eventually([] { return drains == 1; }));
    CHECK(drained_unopened == 0);
    libwebsock_release(second);
}

// The client half-closes while a sender waits for it, and then reads all the same. Whatever is left
// of the first message, it looks like frames of its own if it comes twice.
TEST_CASE("nothing comes twice to a client that half-closes while a sender waits for it")
{
    Server server({.settings =
                       [](auto *context) {
                           context->send_timeout_ms = 4000;
                           context->max_queued_bytes = 64 << 20;
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    const std::string first(8 << 20, '\x02');
    CHECK(libwebsock_queue_binary(handle, first.data(), first.size()) == 0);
    CHECK(queue(handle, "second") == 0);
    CHECK(server.stats().blocked_writers == 1);
    std::thread sender([&] { (void)libwebsock_send_text(handle, "third"); });
    // The flusher looks now and then, and leaves it to the sender once that is writing.
    CHECK(eventually([&] { return server.stats().blocked_writers == 0; }));
    client.cut_off();
    CHECK(eventually([&] { return queue(handle, "late") == ENOTCONN; }));
    std::vector<std::string> received;
    try {
        for (;;)
            received.push_back(client.receive_frame().payload);
    } catch (const std::runtime_error &) {
        // The end; the server does not wait for long.
    }
    sender.join();
    const std::vector<std::string> sent{first, "second", "third"};
    CHECK(received.size() <= sent.size());
    for (size_t i = 0; i < std::min(received.size(), sent.size()); ++i)
        CHECK_MESSAGE(received[i] == sent[i], "message ", i + 1);
}

TEST_CASE("nothing follows a Close that came while a sender waited for the client")
{
    Server server({.settings =
                       [](auto *context) {
                           context->send_timeout_ms = 4000;
                           context->max_queued_bytes = 64 << 20;
                       },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    const std::string first(8 << 20, '\x02');
    CHECK(libwebsock_queue_binary(handle, first.data(), first.size()) == 0);
    CHECK(queue(handle, "second") == 0);
    auto sender = std::async(std::launch::async,
                             [&] { return error_of(libwebsock_send_text(handle, "third")); });
    CHECK(eventually([&] { return server.stats().blocked_writers == 0; })); // as above
    CHECK(libwebsock_close(handle) == 0);
    CHECK(client.receive_frame().payload == first);
    CHECK(client.receive_text() == "second");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.send_close(WS_CLOSE_NORMAL);
    client.expect_eof();
    CHECK(sender.get() == ENOTCONN);
}
