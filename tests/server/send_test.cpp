// send_test.cpp: what a server sends: text, binary, fragments, pings, to one client
// and to all, and what the send functions refuse. Peers that do not read are in
// flow_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <future>

using namespace test;

namespace {

constexpr const char *kInvalid = "caf\xe9"; // ISO 8859-1

bool ready(const std::future<int> &result)
{
    return result.wait_for(kDeadline) == std::future_status::ready;
}

} // namespace

TEST_CASE("a client can be sent to from outside its callbacks")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    CHECK(libwebsock_send_text(handle, "text") == 0);
    CHECK(libwebsock_send_text_with_length(handle, "a\0b", 3) == 0);
    CHECK(libwebsock_send_text_with_length(handle, nullptr, 0) == 0);
    CHECK(libwebsock_send_binary(handle, "\xff\0", 2) == 0);
    CHECK(libwebsock_send_binary(handle, nullptr, 0) == 0);
    CHECK(client.receive_text() == "text");
    CHECK(client.receive_text() == std::string("a\0b", 3));
    CHECK(client.receive_text() == "");
    Frame binary = client.receive_frame();
    CHECK(binary.opcode == WS_OPCODE_BINARY);
    CHECK(binary.payload == std::string("\xff\0", 2));
    CHECK(client.receive_frame().payload == "");
}

TEST_CASE("a message sent from a callback leaves while the callback is still running")
{
    Server server({.onmessage = [](Scene &scene, auto *client, auto *) {
        libwebsock_send_text(client, "working on it");
        scene.gate.wait();
        libwebsock_send_text(client, "done");
    }});
    Client client = Client::open(server.port());
    client.send_text("go");
    CHECK(client.receive_text() == "working on it");
    server.gate().open();
    CHECK(client.receive_text() == "done");
}

TEST_CASE("a callback can send to another client")
{
    Server server({.onmessage =
                       [](Scene &scene, auto *, auto *msg) {
                           std::lock_guard lock(scene.mutex);
                           libwebsock_send_text(scene.handles[0], msg->payload);
                       },
                   .keep_handles = true});
    Client first = Client::open(server.port());
    server.handle(1);
    Client second = Client::open(server.port());
    server.handle(2);
    second.send_text("hello, first");
    CHECK(first.receive_text() == "hello, first");
}

TEST_CASE("sends refuse what is not allowed and leave the connection as it was")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    CHECK(error_of(libwebsock_send_text(nullptr, "x")) == EINVAL);
    CHECK(error_of(libwebsock_send_text(handle, nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_send_text_with_length(nullptr, "x", 1)) == EINVAL);
    CHECK(error_of(libwebsock_send_text_with_length(handle, nullptr, 1)) == EINVAL);
    CHECK(error_of(libwebsock_send_binary(nullptr, "x", 1)) == EINVAL);
    CHECK(error_of(libwebsock_send_binary(handle, nullptr, 1)) == EINVAL);
    CHECK(error_of(libwebsock_send_fragment(nullptr, "x", 1, WS_OPCODE_TEXT)) == EINVAL);
    CHECK(error_of(libwebsock_ping(nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_send_all_text(nullptr, "x")) == EINVAL);
    CHECK(error_of(libwebsock_send_all_text(server.context(), nullptr)) == EINVAL);
    CHECK(error_of(libwebsock_send_all_binary(nullptr, "x", 1)) == EINVAL);
    CHECK(error_of(libwebsock_send_all_binary(server.context(), nullptr, 1)) == EINVAL);
    CHECK(libwebsock_peer(nullptr) == nullptr);
    CHECK(libwebsock_client_request(nullptr) == nullptr);

    CHECK(error_of(libwebsock_send_text(handle, kInvalid)) == EILSEQ);
    CHECK(error_of(libwebsock_send_text_with_length(handle, "\xc3\xbc", 1)) == EILSEQ);
    CHECK(error_of(libwebsock_send_all_text(server.context(), kInvalid)) == EILSEQ);
    CHECK(error_of(libwebsock_close_with_reason(handle, WS_CLOSE_NORMAL, kInvalid)) == EILSEQ);

    CHECK(libwebsock_send_text(handle, "still here") == 0);
    CHECK(client.receive_text() == "still here");
}

TEST_CASE("a message can be sent in fragments, with control frames in between")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    CHECK(libwebsock_send_fragment(handle, "one ", 4, WS_OPCODE_TEXT) == 0);
    CHECK(libwebsock_send_fragment(handle, nullptr, 0, WS_OPCODE_CONTINUE) == 0);
    CHECK(libwebsock_send_fragment(handle, "pi", 2, WS_FRAGMENT_FIN | WS_OPCODE_PING) == 0);
    CHECK(libwebsock_send_fragment(handle, "two", 3, WS_FRAGMENT_FIN | WS_OPCODE_CONTINUE) == 0);
    CHECK(libwebsock_send_fragment(handle, "whole", 5, WS_FRAGMENT_FIN | WS_OPCODE_BINARY) == 0);

    struct Expected {
        bool fin;
        unsigned opcode;
        const char *payload;
    };
    for (Expected expected : {Expected{false, WS_OPCODE_TEXT, "one "},
                              {false, WS_OPCODE_CONTINUE, ""},
                              {true, WS_OPCODE_PING, "pi"},
                              {true, WS_OPCODE_CONTINUE, "two"},
                              {true, WS_OPCODE_BINARY, "whole"}}) {
        Frame frame = client.receive_frame();
        CHECK(frame.fin == expected.fin);
        CHECK(frame.opcode == expected.opcode);
        CHECK(frame.payload == expected.payload);
    }
}

TEST_CASE("fragments out of order are refused")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    auto send = [&](int flags, size_t len = 1) {
        static const char bytes[126] = "x";
        return error_of(libwebsock_send_fragment(server.handle(), bytes, len, flags));
    };
    CHECK(send(WS_OPCODE_CONTINUE) == EINVAL);
    CHECK(send(WS_FRAGMENT_FIN | WS_OPCODE_CONTINUE) == EINVAL);
    CHECK(send(WS_OPCODE_PING) == EINVAL); // a control frame is not fragmented
    CHECK(send(WS_FRAGMENT_FIN | WS_OPCODE_PING, 126) == EINVAL); // and is short
    CHECK(send(WS_FRAGMENT_FIN | 0x3) == EINVAL);                 // reserved opcodes
    CHECK(send(WS_FRAGMENT_FIN | 0xb) == EINVAL);
    CHECK(send(WS_FRAGMENT_FIN | 0x40 | WS_OPCODE_TEXT) == EINVAL); // a reserved bit
    CHECK(send(0x200 | WS_OPCODE_TEXT) == EINVAL);
    CHECK(send(-1) == EINVAL);
    CHECK(error_of(libwebsock_send_fragment(server.handle(), nullptr, 1, WS_OPCODE_TEXT)) ==
          EINVAL);

    CHECK(send(WS_OPCODE_TEXT) == 0);
    CHECK(send(WS_OPCODE_TEXT) == EINVAL);
    CHECK(send(WS_OPCODE_BINARY) == EINVAL);
    CHECK(send(WS_FRAGMENT_FIN | WS_OPCODE_CONTINUE) == 0);
    CHECK(client.receive_frame().opcode == WS_OPCODE_TEXT);
    CHECK(client.receive_frame().opcode == WS_OPCODE_CONTINUE);
}

TEST_CASE("another thread's message waits for the last fragment")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 1000; },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    REQUIRE(libwebsock_send_fragment(handle, "first", 5, WS_OPCODE_TEXT) == 0);
    // The message waits, but its sender does not.
    auto other =
        std::async(std::launch::async, [&] { return error_of(libwebsock_send_text(handle, "b")); });
    bool returned = ready(other);
    CHECK(returned);
    std::string large(2000, 'x');
    auto too_much = std::async(
        std::launch::async, [&] { return error_of(libwebsock_send_text(handle, large.c_str())); });
    if (returned) {
        CHECK(ready(too_much));
        CHECK(too_much.get() == ENOBUFS);
    }
    REQUIRE(libwebsock_send_fragment(handle, "last", 4, WS_FRAGMENT_FIN) == 0);
    CHECK(other.get() == 0);
    CHECK(client.receive_frame().payload == "first");
    Frame last = client.receive_frame();
    CHECK(last.opcode == WS_OPCODE_CONTINUE);
    CHECK(last.payload == "last");
    CHECK(client.receive_text() == "b");
}

TEST_CASE("messages that wait for the last fragment are not copied again for each one added")
{
    constexpr size_t kMessages = 3000;
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    REQUIRE(libwebsock_send_fragment(handle, "first", 5, WS_OPCODE_TEXT) == 0);
    const std::string text(100, 'x');
    size_t allocated = 0;
    {
        const AllocationWatch watch;
        std::async(std::launch::async, [&] {
            for (size_t i = 0; i < kMessages; i++)
                libwebsock_send_text(handle, text.c_str());
        }).wait();
        allocated = watch.total();
    }
    CHECK(allocated < 5 * kMessages * text.size()); // doubling: twice what there is, and some
    REQUIRE(libwebsock_send_fragment(handle, "last", 4, WS_FRAGMENT_FIN) == 0);
    CHECK(client.receive_frame().payload == "first");
    CHECK(client.receive_frame().payload == "last");
    size_t right = 0;
    for (size_t i = 0; i < kMessages; i++)
        right += client.receive_text() == text;
    CHECK(right == kMessages);
}

TEST_CASE("what a callback has queued does not make send_all close its client")
{
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 1024; },
                   .onmessage = [](Scene &, auto *client, auto *) {
                       libwebsock_send_text(client, "small");
                       const std::string large(2048, 'x');
                       libwebsock_send_all_text(client->ctx, large.c_str());
                   }});
    Client client = Client::open(server.port());
    client.send_text("go");
    CHECK(client.receive_text() == "small");
    CHECK(client.receive_text().size() == 2048);
}

TEST_CASE("send_all waits for the last fragment too")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    REQUIRE(libwebsock_send_fragment(server.handle(), "first", 5, WS_OPCODE_TEXT) == 0);
    auto all = std::async(std::launch::async, [&] {
        return error_of(libwebsock_send_all_text(server.context(), "to all"));
    });
    CHECK(ready(all));
    REQUIRE(libwebsock_send_fragment(server.handle(), "last", 4, WS_FRAGMENT_FIN) == 0);
    CHECK(all.get() == 0);
    CHECK(client.receive_frame().payload == "first");
    CHECK(client.receive_frame().payload == "last");
    CHECK(client.receive_text() == "to all");
}

TEST_CASE("a length larger than any memory is refused, and the connection goes on")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    for (size_t len : {SIZE_MAX, SIZE_MAX - 9, SIZE_MAX / 2 + 1}) {
        CAPTURE(len);
        CHECK(error_of(libwebsock_send_all_binary(server.context(), "x", len)) == EINVAL);
        CHECK(error_of(libwebsock_send_all_binary(server.context(), nullptr, len)) == EINVAL);
        CHECK(error_of(libwebsock_send_binary(handle, "x", len)) == EINVAL);
        CHECK(error_of(libwebsock_send_fragment(handle, "x", len, WS_OPCODE_BINARY)) == EINVAL);
    }
    CHECK(libwebsock_send_text(handle, "text") == 0);
    CHECK(client.receive_text() == "text");
}

TEST_CASE("a ping is answered, and onpong is told of the pong")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    CHECK(libwebsock_ping(server.handle()) == 0);
    Frame ping = client.receive_frame();
    CHECK(ping.opcode == WS_OPCODE_PING);
    CHECK(ping.payload == "");
    client.send_frame(true, WS_OPCODE_PONG, ping.payload);
    server.events().wait(Kind::pong);
}

TEST_CASE("send_all reaches fifty clients, and nobody who has left")
{
    Server server({.onmessage = [](Scene &, auto *client, auto *msg) {
        libwebsock_send_all_text(client->ctx, msg->payload);
    }});
    CHECK(libwebsock_send_all_text(server.context(), "is anybody there?") == 0);
    std::vector<Client> clients;
    for (int i = 0; i < 50; i++)
        clients.push_back(Client::open(server.port()));
    server.events().wait(Kind::open, 50);
    clients.back().reset();
    clients.pop_back();
    CHECK(libwebsock_send_all_text(server.context(), "text") == 0);
    CHECK(libwebsock_send_all_binary(server.context(), "\0\xff", 2) == 0);
    CHECK(libwebsock_send_all_binary(server.context(), nullptr, 0) == 0);
    for (Client &client : clients) {
        CHECK(client.receive_text() == "text");
        CHECK(client.receive_frame().payload == std::string("\0\xff", 2));
        CHECK(client.receive_frame().payload == "");
    }
    clients[7].send_text("from a callback");
    for (Client &client : clients)
        CHECK(client.receive_text() == "from a callback");
}

TEST_CASE("a frame can be dumped, and NULL cannot")
{
    CHECK(error_of(libwebsock_dump_frame(nullptr)) == EINVAL);
}
