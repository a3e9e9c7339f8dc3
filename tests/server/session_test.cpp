// session_test.cpp: the blocking style: onsession, libwebsock_receive, libwebsock_wake. Over real
// sockets, with TLS or without.
#include "tests/server/session.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

using namespace test;

TEST_CASE("a session receives messages one after the other, on a thread of its own")
{
    std::atomic<bool> same_thread{true};
    Server server({.onsession = [&](Scene &scene, libwebsock_client_state *client) {
        const std::thread::id thread = std::this_thread::get_id();
        for (const Event &event : scene.events.all())
            same_thread = same_thread && event.thread != thread;
        const std::string name = received(client);
        libwebsock_send_text(client, ("your name is " + name + "; and your age?").c_str());
        const std::string age = received(client);
        libwebsock_send_text(client, (name + " is " + age).c_str());
    }});
    Client client = Client::open(server.port());
    client.send_text("Ada");
    CHECK(client.receive_text() == "your name is Ada; and your age?");
    client.send_text("36");
    CHECK(client.receive_text() == "Ada is 36");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL); // it has returned
    client.send_close(WS_CLOSE_NORMAL);
    client.expect_eof();
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_NORMAL);
    CHECK(server.events().count(Kind::message) == 0);
    CHECK(server.events().count(Kind::open) == 1);
}

TEST_CASE("a session receives what onmessage would: fragments joined, compressed or not")
{
    Server server({.settings = [](libwebsock_context *context) { context->compression = 1; },
                   .onsession = echo_until_closed});
    for (const char *const extensions : {"", "permessage-deflate"}) {
        Client client(server.port(), {.extensions = extensions});
        client.handshake();
        client.send_frame(false, WS_OPCODE_TEXT, "one ");
        client.send_frame(true, WS_OPCODE_PING, "p");
        client.send_frame(true, WS_OPCODE_CONTINUE, "two");
        CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
        CHECK(client.receive_text() == "one two");
        for (const unsigned len : {0U, 1U, 500U, 70'000U, 300'000U}) {
            const std::string text(len, 'x');
            if (*extensions != '\0')
                client.send_compressed(WS_OPCODE_BINARY, text);
            else
                client.send_binary(text);
            CHECK((client.receive_frame().payload == text));
        }
        client.send_close(4000, "enough");
        CHECK(client.receive_close().code == 4000);
    }
}

TEST_CASE("receive returns 0 at the end of the connection, and close_info says how it ended")
{
    std::string first, second;
    unsigned code = 0;
    Server server({.onsession = [&](Scene &scene, libwebsock_client_state *client) {
        first = received(client);
        code = client->close_info->code;
        second = received(client);
        scene.gate.open();
    }});
    Client client = Client::open(server.port());
    SUBCASE("by a Close frame")
    {
        client.send_close(4321, "bye");
        CHECK(client.receive_close().code == 4321);
        CHECK(server.gate().wait());
        CHECK(code == 4321);
    }
    SUBCASE("without one")
    {
        client.reset();
        CHECK(server.gate().wait());
        CHECK(code == WS_CLOSE_DIRTY);
    }
    SUBCASE("by an error of the peer")
    {
        client.send_raw("\x81\x01\x41");
        CHECK(client.receive_close().code == WS_CLOSE_PROTOCOL_ERROR);
        CHECK(server.gate().wait());
        CHECK(code == WS_CLOSE_DIRTY);
    }
    CHECK(first == "closed");
    CHECK(second == "closed");
}

TEST_CASE("a receive that times out leaves the connection usable")
{
    Server server({.onsession = [](Scene &, libwebsock_client_state *client) {
        CHECK(received(client, 0) == error(ETIMEDOUT));
        CHECK(received(client, 50) == error(ETIMEDOUT));
        libwebsock_send_text(client, "now");
        CHECK(received(client) == "first");
        CHECK(received(client, 50) == error(ETIMEDOUT)); // in the middle of the next one
        libwebsock_send_text(client, "go on");
        CHECK(received(client) == "second");
    }});
    Client client = Client::open(server.port());
    CHECK(client.receive_text() == "now");
    const std::string second = encode_frame(true, WS_OPCODE_TEXT, "second");
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "first") + second.substr(0, 8));
    CHECK(client.receive_text() == "go on");
    client.send_raw(second.substr(8));
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("wake makes receive return EINTR, once for each time it is needed")
{
    Server server(
        {.keep_handles = true, .onsession = [](Scene &scene, libwebsock_client_state *client) {
             CHECK(received(client) == error(EINTR)); // while it waits
             libwebsock_send_text(client, "woken");
             scene.gate.wait();
             CHECK(received(client) == error(EINTR)); // before it waits
             CHECK(received(client, 50) == error(ETIMEDOUT));
             libwebsock_send_text(client, "woken again");
             CHECK(received(client) == "bye");
         }});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    CHECK(eventually([&] { return libwebsock_wake(handle) == 0; }));
    CHECK(client.receive_text() == "woken");
    CHECK(libwebsock_wake(handle) == 0);
    CHECK(libwebsock_wake(handle) == 0);
    server.gate().open();
    CHECK(client.receive_text() == "woken again");
    client.send_text("bye");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.send_close(WS_CLOSE_NORMAL);
    (void)server.events().wait(Kind::close);
    CHECK(error_of(libwebsock_wake(handle)) == EPERM);
    CHECK(error_of(libwebsock_wake(nullptr)) == EINVAL);
}

TEST_CASE("only the session's thread may receive")
{
    Server server({.onclose =
                       [](Scene &, libwebsock_client_state *client) {
                           CHECK(received(client) == error(EDEADLK));
                       },
                   .keep_handles = true,
                   .onsession =
                       [](Scene &scene, libwebsock_client_state *client) {
                           std::thread other([&] { CHECK(received(client) == error(EPERM)); });
                           other.join();
                           CHECK(libwebsock_receive(client, nullptr, 0) == -1);
                           scene.gate.open();
                           CHECK(received(client) == "closed");
                       }});
    Client client = Client::open(server.port());
    CHECK(server.gate().wait());
    CHECK(eventually([&] { return received(server.handle()) == error(EBUSY); }));
    client.send_close(WS_CLOSE_NORMAL);
    (void)server.events().wait(Kind::close);
    CHECK(received(server.handle()) == error(EPERM));
    Server callbacks({.keep_handles = true});
    Client plain = Client::open(callbacks.port());
    CHECK(received(callbacks.handle()) == error(EPERM));
}

TEST_CASE("a session may receive parts, and change between parts and messages")
{
    Server server(
        {.settings = [](libwebsock_context *context) { context->max_message_payload = 1000; },
         .onsession =
             [](Scene &, libwebsock_client_state *client) {
                 CHECK(received(client) == "whole");
                 libwebsock_part part{};
                 unsigned long long len = 0;
                 do {
                     CHECK(libwebsock_receive_part(client, &part, -1) == 1);
                     CHECK(part.offset == len);
                     len += part.len;
                     if (!part.fin)
                         CHECK(received(client, 0) == error(EINVAL));
                 } while (!part.fin);
                 CHECK(len == 1'000'000);
                 CHECK(received(client) == "whole again");
             }});
    Client client = Client::open(server.port());
    client.send_text("whole");
    client.send_binary(std::string(1'000'000, 'p'));
    client.send_text("whole again");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("within a compressed message a session cannot change from parts to messages")
{
    const std::string text(200'000, 'x'); // one short frame, which becomes several parts
    Server server({.settings = [](libwebsock_context *context) { context->compression = 1; },
                   .onsession =
                       [&](Scene &, libwebsock_client_state *client) {
                           libwebsock_part part{};
                           std::string all;
                           do {
                               CHECK(libwebsock_receive_part(client, &part, -1) == 1);
                               all.append(part.payload, part.len);
                               if (!part.fin)
                                   CHECK(received(client, 0) == error(EINVAL));
                           } while (!part.fin);
                           CHECK((all == text));
                           CHECK(received(client) == "whole");
                       }});
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    client.send_compressed(WS_OPCODE_BINARY, text);
    client.send_compressed(WS_OPCODE_TEXT, "whole");
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("a session can be chosen in onrequest, and taken back in onopen")
{
    static const auto session = [](libwebsock_client_state *client) {
        return libwebsock_send_text(client, "session");
    };
    Server server({.onopen =
                       [](Scene &, libwebsock_client_state *client) {
                           if (std::string(libwebsock_client_request(client)->path) == "/back") {
                               client->onsession = nullptr;
                               libwebsock_send_text(client, "callbacks");
                           }
                       },
                   .onmessage = echo,
                   .onrequest =
                       [](Scene &, libwebsock_client_state *client, const libwebsock_request *) {
                           client->onsession = session;
                           return 0;
                       }});
    Client one = Client::open(server.port(), "/stay");
    CHECK(one.receive_text() == "session");
    CHECK(one.receive_close().code == WS_CLOSE_NORMAL);
    Client two = Client::open(server.port(), "/back");
    CHECK(two.receive_text() == "callbacks");
    two.send_text("echo");
    CHECK(two.receive_text() == "echo");
}

TEST_CASE("a stop ends sessions: receive returns 0, and close_info says 1001")
{
    std::atomic<unsigned> code{0};
    Server server({.onsession = [&](Scene &, libwebsock_client_state *client) {
        CHECK(received(client) == "closed");
        code = client->close_info->code;
    }});
    Client client = Client::open(server.port());
    (void)server.events().wait(Kind::open);
    CHECK(libwebsock_stop(server.context()) == 0);
    CHECK(client.receive_close().code == WS_CLOSE_GOING_AWAY);
    client.send_close(WS_CLOSE_GOING_AWAY);
    CHECK(server.join() == 0);
    CHECK(code == WS_CLOSE_GOING_AWAY);
}

TEST_CASE("others may send to a client whose session waits")
{
    Server server({.keep_handles = true, .onsession = echo_until_closed});
    Client client = Client::open(server.port());
    for (int i = 0; i < 20; ++i) {
        CHECK(libwebsock_send_text(server.handle(), "from outside") == 0);
        CHECK(client.receive_text() == "from outside");
        client.send_text("echo");
        CHECK(client.receive_text() == "echo");
    }
}

TEST_CASE("an exception out of onsession closes with 1011")
{
    Server server({.onsession = [](Scene &, libwebsock_client_state *) {
        throw std::runtime_error("out of ideas");
    }});
    Client client = Client::open(server.port());
    CHECK(client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"out of ideas"}));
}

TEST_CASE("an answer does not wait for a session that goes on with the next message")
{
    Server server({.onsession = [](Scene &scene, libwebsock_client_state *client) {
        CHECK(received(client) == "one");
        libwebsock_send_text(client, "answer");
        CHECK(received(client) == "two");
        CHECK(scene.gate.wait()); // until the client has got it
    }});
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "one") +
                    encode_frame(true, WS_OPCODE_TEXT, "two") +
                    encode_frame(true, WS_OPCODE_TEXT, "three"));
    CHECK(client.receive_text() == "answer");
    server.gate().open();
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("messages that came together are all answered, in order, however many")
{
    constexpr int kMessages = 5000;
    Server server({.onsession = echo_until_closed});
    Client client = Client::open(server.port());
    std::string burst;
    for (int i = 0; i < kMessages; ++i)
        burst += encode_frame(true, WS_OPCODE_TEXT, std::to_string(i));
    std::thread sender([&] { client.send_raw(burst); });
    for (int i = 0; i < kMessages; ++i)
        REQUIRE(client.receive_text() == std::to_string(i));
    sender.join();
    client.send_text("one more");
    CHECK(client.receive_text() == "one more");
}
