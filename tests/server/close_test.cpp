// close_test.cpp: the closing handshake from both sides, and the protocol errors that
// fail a connection. Ends without a Close frame are in ending_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>

using namespace test;

namespace {

// A server that closes with this code and reason every client that sends something.
Behaviour closing_with(unsigned short code, const char *reason)
{
    return {.onmessage = [code, reason](Scene &, auto *client, auto *) {
        libwebsock_close_with_reason(client, code, reason);
    }};
}

// What the client reads when the server closes with this reason.
std::string reason_on_the_wire(const char *reason)
{
    Server server(closing_with(WS_CLOSE_NORMAL, reason));
    Client client = Client::open(server.port());
    client.send_text("close me");
    return client.receive_close().reason;
}

} // namespace

TEST_CASE("a client's Close is echoed, and close_info tells its code and reason")
{
    Server server;
    Client client = Client::open(server.port());
    client.send_close(4321, "I have seen enough \xe2\x9c\x93");
    CHECK(client.receive_close().code == 4321);
    client.expect_eof();
    Event close = server.events().wait(Kind::close);
    CHECK(close.code == 4321);
    CHECK(close.text == "I have seen enough \xe2\x9c\x93");
}

TEST_CASE("a Close without a code is answered with one, and reported as 1005")
{
    Server server;
    Client client = Client::open(server.port());
    client.send_frame(true, WS_OPCODE_CLOSE, "");
    CHECK(client.receive_close().code == WS_CLOSE_NO_CODE);
    client.expect_eof();
    Event close = server.events().wait(Kind::close);
    CHECK(close.code == WS_CLOSE_NO_CODE);
    CHECK(close.text == "");
}

TEST_CASE("a Close of 125 bytes has a reason of 123")
{
    Server server;
    Client client = Client::open(server.port());
    std::string reason(123, 'r');
    client.send_close(WS_CLOSE_NORMAL, reason);
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.expect_eof();
    CHECK(server.events().wait(Kind::close).text == reason);
}

TEST_CASE("messages before a Close are delivered before onclose, those after it are dropped")
{
    Server server;
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "before") +
                    encode_frame(true, WS_OPCODE_CLOSE, close_payload(WS_CLOSE_NORMAL)) +
                    encode_frame(true, WS_OPCODE_TEXT, "behind"));
    client.receive_close();
    client.drain();
    server.events().wait(Kind::close);
    std::vector<Event> messages = server.events().all(Kind::message);
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].text == "before");
}

TEST_CASE("libwebsock_close sends 1000 after everything already sent, and waits for the answer")
{
    Server server({.onmessage = [](Scene &, auto *client, auto *) {
        libwebsock_send_text(client, "last words");
        libwebsock_close(client);
    }});
    Client client = Client::open(server.port());
    client.send_text("close me");
    CHECK(client.receive_text() == "last words");
    Close close = client.receive_close();
    CHECK(close.code == WS_CLOSE_NORMAL);
    CHECK(close.reason == "");
    CHECK(server.events().count(Kind::close) == 0);
    client.send_close(WS_CLOSE_NORMAL, "mine");
    client.expect_eof();
    Event closed = server.events().wait(Kind::close);
    CHECK(closed.code == WS_CLOSE_NORMAL);
    CHECK(closed.text == "mine");
}

TEST_CASE("the codes that may be sent are sent, with their reasons")
{
    for (unsigned short code : std::initializer_list<unsigned short>{
             1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999}) {
        CAPTURE(code);
        Server server(closing_with(code, "because"));
        Client client = Client::open(server.port());
        client.send_text("close me");
        Close close = client.receive_close();
        CHECK(close.code == code);
        CHECK(close.reason == "because");
    }
}

TEST_CASE("codes that may not be sent are refused, and the connection stays open")
{
    Server server({.onmessage = echo, .keep_handles = true});
    Client client = Client::open(server.port());
    for (unsigned short code : std::initializer_list<unsigned short>{0, 999, 1004, 1005, 1006, 1015,
                                                                     1016, 2999, 5000, 65535}) {
        CAPTURE(code);
        CHECK(error_of(libwebsock_close_with_reason(server.handle(), code, "x")) == EINVAL);
    }
    CHECK(error_of(libwebsock_close_with_reason(nullptr, WS_CLOSE_NORMAL, "x")) == EINVAL);
    CHECK(error_of(libwebsock_close(nullptr)) == EINVAL);
    client.send_text("open?");
    CHECK(client.receive_text() == "open?");
}

TEST_CASE("a reason longer than 123 bytes is cut after a whole character")
{
    const std::string two_bytes = "\xc3\xa9";
    CHECK(reason_on_the_wire(nullptr) == "");
    CHECK(reason_on_the_wire((std::string(121, 'a') + two_bytes).c_str()) ==
          std::string(121, 'a') + two_bytes);
    CHECK(reason_on_the_wire((std::string(122, 'a') + two_bytes).c_str()) == std::string(122, 'a'));
    CHECK(reason_on_the_wire(std::string(500, 'a').c_str()) == std::string(123, 'a'));
}

TEST_CASE("after a close, sends and a second close fail with ENOTCONN")
{
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    REQUIRE(libwebsock_close(handle) == 0);
    CHECK(error_of(libwebsock_close(handle)) == ENOTCONN);
    CHECK(error_of(libwebsock_close_with_reason(handle, 4000, "again")) == ENOTCONN);
    CHECK(error_of(libwebsock_send_text(handle, "x")) == ENOTCONN);
    CHECK(error_of(libwebsock_send_binary(handle, "x", 1)) == ENOTCONN);
    CHECK(error_of(libwebsock_send_fragment(handle, "x", 1, WS_OPCODE_TEXT)) == ENOTCONN);
    CHECK(error_of(libwebsock_ping(handle)) == ENOTCONN);
    CHECK(libwebsock_send_all_text(server.context(), "not to it") == 0);
    CHECK(client.receive_close().code == WS_CLOSE_NORMAL);
    client.send_close(WS_CLOSE_NORMAL);
    client.expect_eof(); // nothing followed the Close
}

TEST_CASE("sends fail with ENOTCONN in onrequest and in onclose")
{
    std::atomic<int> in_request = -1;
    std::atomic<int> in_close = -1;
    Server server(
        {.onclose = [&](Scene &,
                        auto *client) { in_close = error_of(libwebsock_send_text(client, "x")); },
         .onrequest =
             [&](Scene &, auto *client, auto *) {
                 in_request = error_of(libwebsock_send_text(client, "x"));
                 return 0;
             }});
    {
        Client client = Client::open(server.port());
    }
    server.events().wait(Kind::close);
    CHECK(in_request == ENOTCONN);
    CHECK(in_close == ENOTCONN);
}

TEST_CASE("a protocol error fails the connection with its code, and onclose runs once")
{
    struct Case {
        std::string name;
        std::string bytes;
        unsigned code;
    };
    auto frame = [](bool fin, unsigned opcode, std::string_view payload, bool masked = true) {
        return encode_frame(fin, opcode, payload, masked);
    };
    auto close = [&](unsigned code, std::string_view reason = "") {
        return frame(true, WS_OPCODE_CLOSE, close_payload(code, reason));
    };
    // A payload of 127 bytes with a 64-bit length (RFC 6455 5.2).
    const std::string long_length =
        std::string("\x82\xff\0\0\0\0\0\0\0\x7f", 10) + std::string(4 + 127, '\0');
    const Case cases[] = {
        {"unmasked frame", frame(true, WS_OPCODE_TEXT, "x", false), 1002},
        {"reserved bit", frame(true, 0x40 | WS_OPCODE_TEXT, "x"), 1002},
        {"reserved data opcode", frame(true, 0x3, "x"), 1002},
        {"reserved control opcode", frame(true, 0xb, "x"), 1002},
        {"fragmented ping", frame(false, WS_OPCODE_PING, "x"), 1002},
        {"ping of 126 bytes", frame(true, WS_OPCODE_PING, std::string(126, 'x')), 1002},
        {"continuation of nothing", frame(true, WS_OPCODE_CONTINUE, "x"), 1002},
        {"message inside a message",
         frame(false, WS_OPCODE_TEXT, "x") + frame(true, WS_OPCODE_TEXT, "y"), 1002},
        {"length not the shortest", long_length, 1002},
        {"length of 64 bits", std::string("\x82\xff\xff\0\0\0\0\0\0\0\1\2\3\4", 14), 1002},
        {"invalid UTF-8", frame(true, WS_OPCODE_TEXT, "\xce\xba\xff"), 1007},
        {"surrogate in UTF-8", frame(true, WS_OPCODE_TEXT, "\xed\xa0\x80"), 1007},
        {"text that ends inside a character", frame(true, WS_OPCODE_TEXT, "\xce"), 1007},
        {"invalid UTF-8 in an unfinished message", frame(false, WS_OPCODE_TEXT, "\xff"), 1007},
        {"Close with half a code", frame(true, WS_OPCODE_CLOSE, "x"), 1002},
        {"Close with 1005", close(1005), 1002},
        {"Close with 1006", close(1006), 1002},
        {"Close with 1004", close(1004), 1002},
        {"Close with 1015", close(1015), 1002},
        {"Close with 999", close(999), 1002},
        {"Close with 2999", close(2999), 1002},
        {"Close with 5000", close(5000), 1002},
        {"Close with an invalid reason", close(1000, "\xff"), 1007},
    };
    Server server;
    size_t closed = 0;
    for (const Case &wrong : cases) {
        CAPTURE(wrong.name);
        Client client = Client::open(server.port());
        client.send_raw(wrong.bytes);
        CHECK(client.receive_close().code == wrong.code);
        client.drain();
        // more than 20 in one second are summed up
        CHECK((closed >= 20 || server.log().has(LIBWEBSOCK_LOG_INFO, {client.address()})));
        Event close_event = server.events().wait(Kind::close, ++closed);
        CHECK(close_event.client == static_cast<int>(closed));
    }
    CHECK(server.stop_and_join() == 0);
    CHECK(server.events().count(Kind::close) == closed);
    CHECK(server.events().count(Kind::message) == 0);
}

TEST_CASE("messages before a protocol error are delivered")
{
    Server server;
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "good") +
                    encode_frame(true, WS_OPCODE_TEXT, "bad", false));
    CHECK(client.receive_close().code == WS_CLOSE_PROTOCOL_ERROR);
    client.drain();
    server.events().wait(Kind::close);
    CHECK(server.events().wait(Kind::message).text == "good");
    CHECK(server.events().count(Kind::message) == 1);
}
