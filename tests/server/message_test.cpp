// message_test.cpp: what a server receives: messages whole, in pieces and too large, pings and
// pongs. How long they may take is in message_timeout_test.cpp, sending in send_test.cpp, who
// holds back whom in flow_test.cpp, protocol errors in close_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

using namespace test;

namespace {

std::string pattern(size_t len)
{
    std::string text(len, 'a');
    for (size_t i = 0; i < len; i++)
        text[i] = static_cast<char>('a' + i % 23);
    return text;
}

} // namespace

TEST_CASE("text and binary of every length encoding come through and back")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    for (size_t len : {0u, 1u, 124u, 125u, 126u, 127u, 65534u, 65535u, 65536u, 65537u, 1u << 20}) {
        CAPTURE(len);
        std::string payload = pattern(len);
        for (unsigned opcode : {1u, 2u}) {
            client.send_frame(true, opcode, payload);
            Frame answer = client.receive_frame();
            CHECK(answer.fin);
            CHECK(answer.opcode == opcode);
            bool same = answer.payload == payload;
            CHECK(same);
        }
    }
    for (const Event &message : server.events().all(Kind::message)) {
        CHECK(message.terminated);
        CHECK(message.len == message.text.size());
    }
}

TEST_CASE("a message as large as the limit comes through and back")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    std::string payload = pattern(16u << 20);
    client.send_binary(payload);
    bool same = client.receive_frame().payload == payload;
    CHECK(same);
}

TEST_CASE("binary keeps every byte value")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    std::string bytes;
    for (int value = 0; value < 256; value++)
        bytes.push_back(static_cast<char>(value));
    client.send_binary(bytes);
    CHECK(client.receive_frame().payload == bytes);
}

TEST_CASE("payloads that share a segment are each terminated, and may be written to")
{
    Server server({.onmessage = [](Scene &scene, auto *client, auto *msg) {
        std::string before = msg->payload; // up to the NUL
        for (size_t i = 0; i < msg->payload_len; i++)
            msg->payload[i] = '#';
        echo(scene, client, msg);
        libwebsock_send_text(client, before.c_str());
    }});
    Client client = Client::open(server.port());
    std::string frames;
    for (const char *text : {"one", "", "three", "f"})
        frames += encode_frame(true, WS_OPCODE_TEXT, text);
    client.send_raw(frames);
    for (const char *text : {"one", "", "three", "f"}) {
        CHECK(client.receive_text() == std::string(std::string(text).size(), '#'));
        CHECK(client.receive_text() == text);
    }
}

TEST_CASE("fragments become one message, and a ping between them is answered first")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_TEXT, "Gr\xc3"); // a character split in two
    client.send_frame(true, WS_OPCODE_PING, "are you there?");
    client.send_frame(false, WS_OPCODE_CONTINUE, "");
    client.send_frame(true, WS_OPCODE_PONG, "nobody asked");
    Frame pong = client.receive_frame();
    CHECK(pong.opcode == WS_OPCODE_PONG);
    CHECK(pong.payload == "are you there?");
    CHECK(server.events().count(Kind::message) == 0);

    client.send_frame(true, WS_OPCODE_CONTINUE,
                      "\xbc\xc3\x9f"
                      "e");
    CHECK(client.receive_text() == "Gr\xc3\xbc\xc3\x9f"
                                   "e");
    Event message = server.events().wait(Kind::message);
    CHECK(message.opcode == WS_OPCODE_TEXT);
    CHECK(message.terminated);

    client.send_frame(false, WS_OPCODE_BINARY, "a\xff");
    client.send_frame(true, WS_OPCODE_CONTINUE, "b");
    Frame answer = client.receive_frame();
    CHECK(answer.opcode == WS_OPCODE_BINARY);
    CHECK(answer.payload == "a\xff"
                            "b");
}

TEST_CASE("ten thousand pipelined messages are answered in order")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    std::string frames;
    for (int i = 0; i < 10000; i++)
        frames += encode_frame(true, WS_OPCODE_TEXT, std::to_string(i));
    client.send_raw(frames);
    int wrong = 0;
    for (int i = 0; i < 10000; i++)
        wrong += client.receive_text() != std::to_string(i);
    CHECK(wrong == 0);
}

TEST_CASE("frames may arrive byte by byte")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    std::string bytes =
        encode_frame(true, WS_OPCODE_TEXT, "slow") + encode_frame(false, WS_OPCODE_TEXT, "in ") +
        encode_frame(true, WS_OPCODE_PING, "p") + encode_frame(true, WS_OPCODE_CONTINUE, "pieces") +
        encode_frame(true, WS_OPCODE_BINARY, pattern(300));
    for (char byte : bytes)
        client.send_raw({&byte, 1});
    // The connection sends the pong, callbacks send the echoes: the pong may overtake them.
    std::vector<std::string> echoes;
    bool ponged = false;
    for (int i = 0; i < 4; i++) {
        Frame frame = client.receive_frame();
        if (frame.opcode == WS_OPCODE_PONG)
            ponged = true;
        else
            echoes.push_back(frame.payload);
    }
    CHECK(ponged);
    REQUIRE(echoes.size() == 3);
    CHECK(echoes[0] == "slow");
    CHECK(echoes[1] == "in pieces");
    CHECK(echoes[2] == pattern(300));
}

TEST_CASE("a frame of max_frame_payload is a message, one byte more is too large")
{
    Server server({.onmessage = echo, .max_frame_payload = 1000});
    Client client = Client::open(server.port());
    client.send_binary(pattern(1000));
    CHECK(client.receive_frame().payload.size() == 1000);

    client.send_raw(encode_header(false, WS_OPCODE_BINARY, 1001));
    Event too_large = server.events().wait(Kind::too_large);
    CHECK_FALSE(too_large.fin);
    CHECK(too_large.opcode == WS_OPCODE_BINARY);
    CHECK(too_large.len == 1001);
    CHECK(too_large.terminated); // without a payload
    CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
    client.drain();
    CHECK(server.events().wait(Kind::close).code == WS_CLOSE_DIRTY);
    CHECK(server.stop_and_join() == 0);
    CHECK(server.events().count(Kind::too_large) == 1);
    CHECK(server.events().count(Kind::close) == 1);
}

TEST_CASE("an announced length of 63 bits is reported as it is")
{
    Server server({.max_frame_payload = 1000});
    Client client = Client::open(server.port());
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 0x7fffffffffffffff));
    CHECK(server.events().wait(Kind::too_large).len == 0x7fffffffffffffff);
    CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
}

TEST_CASE("onframetoolarge may send, and close with its own reason")
{
    Server server({.onframetoolarge =
                       [](Scene &, auto *client, auto *) {
                           libwebsock_send_text(client, "too much");
                           libwebsock_close_with_reason(client, 4000, "I said 1000");
                       },
                   .max_frame_payload = 1000});
    Client client = Client::open(server.port());
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 5000) + pattern(5000));
    CHECK(client.receive_text() == "too much");
    Close close = client.receive_close();
    CHECK(close.code == 4000);
    CHECK(close.reason == "I said 1000");
    client.drain();
    server.events().wait(Kind::close);
}

TEST_CASE("without onframetoolarge a frame too large gets 1009")
{
    Server server({.settings = [](auto *context) { context->onframetoolarge = nullptr; },
                   .max_frame_payload = 1000});
    Client client = Client::open(server.port());
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 1001));
    CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
    client.drain();
    server.events().wait(Kind::close);
}

TEST_CASE("messages before a frame that is too large are delivered first")
{
    Server server({.max_frame_payload = 1000});
    Client client = Client::open(server.port());
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "small") +
                    encode_header(true, WS_OPCODE_TEXT, 1001));
    client.drain();
    server.events().wait(Kind::close);
    std::vector<Event> events = server.events().all();
    REQUIRE(events.size() == 4);
    CHECK(events[1].kind == Kind::message);
    CHECK(events[2].kind == Kind::too_large);
}

TEST_CASE("fragments of more than max_message_payload together get 1009")
{
    Server server({.settings = [](auto *context) { context->max_message_payload = 2000; },
                   .onmessage = echo,
                   .max_frame_payload = 1500});
    Client client = Client::open(server.port());
    client.send_frame(false, WS_OPCODE_BINARY, pattern(1000));
    client.send_frame(true, WS_OPCODE_CONTINUE, pattern(1000));
    CHECK(client.receive_frame().payload.size() == 2000);

    client.send_frame(false, WS_OPCODE_BINARY, pattern(1000));
    client.send_frame(false, WS_OPCODE_CONTINUE, pattern(1000));
    client.send_frame(true, WS_OPCODE_CONTINUE, "x");
    CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
    client.drain();
    server.events().wait(Kind::close);
    CHECK(server.events().count(Kind::message) == 1);
    CHECK(server.events().count(Kind::too_large) == 0);
}

TEST_CASE("pings are answered while onmessage blocks")
{
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    client.send_text("block");
    server.events().wait(Kind::message);
    for (const char *text : {"", "one", "two"}) {
        client.send_frame(true, WS_OPCODE_PING, text);
        Frame pong = client.receive_frame();
        CHECK(pong.opcode == WS_OPCODE_PONG);
        CHECK(pong.payload == text);
    }
}

TEST_CASE("control_callback sees pings, pongs and the Close, onpong the pongs")
{
    Server server;
    Client client = Client::open(server.port());
    std::string longest(125, 'p');
    client.send_frame(true, WS_OPCODE_PING, longest);
    client.send_frame(true, WS_OPCODE_PONG, "pong");
    client.send_close(WS_CLOSE_NORMAL, "bye");
    client.drain();
    server.events().wait(Kind::close);
    std::vector<Event> controls = server.events().all(Kind::control);
    REQUIRE(controls.size() == 3);
    CHECK(controls[0].opcode == WS_OPCODE_PING);
    CHECK(controls[0].text == longest);
    CHECK(controls[1].opcode == WS_OPCODE_PONG);
    CHECK(controls[1].text == "pong");
    CHECK(controls[2].opcode == WS_OPCODE_CLOSE);
    CHECK(controls[2].text == close_payload(WS_CLOSE_NORMAL, "bye"));
    CHECK(controls[2].fin);
    CHECK(server.events().count(Kind::pong) == 1);
}

TEST_CASE("a ping is answered before control_callback is told")
{
    Server server({.oncontrol = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    client.send_frame(true, WS_OPCODE_PING, "now");
    CHECK(client.receive_frame().payload == "now"); // the callback has not returned
}
