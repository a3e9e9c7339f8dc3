// messages_test.cpp: messages come to lambdas and go from Client: text, binary, fragments, files;
// what a lambda throws, and what it may own. Requests and sessions have their own files.
#include "running.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <unistd.h>

using namespace test;

TEST_CASE("text goes to on_message and binary to on_binary, and both go back")
{
    websock::Server server;
    server.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text); });
    server.on_binary([](const websock::Client &client, std::span<const std::byte> bytes) {
        client.send_binary(bytes);
    });
    Running running(server);
    Client client = running.connect();
    for (const auto &text : {std::string(), std::string("hello"), std::string("a\0b", 3)}) {
        client.send_text(text);
        CHECK(client.receive_text() == text);
        client.send_binary(text);
        const Frame frame = client.receive_frame();
        CHECK(frame.opcode == WS_OPCODE_BINARY);
        CHECK(frame.payload == text);
    }
}

TEST_CASE("an on_binary may change the payload where it is")
{
    websock::Server server;
    server.on_binary([](const websock::Client &client, std::span<std::byte> bytes) {
        std::reverse(bytes.begin(), bytes.end());
        client.send_binary(bytes);
    });
    Running running(server);
    Client client = running.connect();
    client.send_binary("abc");
    CHECK(client.receive_frame().payload == "cba");
}

TEST_CASE("a text message is followed by a NUL")
{
    websock::Server server;
    server.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text.data()); });
    Running running(server);
    Client client = running.connect();
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
}

TEST_CASE("a binary message closes with 1003 where only text has a callback")
{
    websock::Server server;
    server.on_message([](const websock::Client &, std::string_view) {});
    Running running(server);
    Client client = running.connect();
    client.send_binary("x");
    const Close close = client.receive_close();
    CHECK(close.code == WS_CLOSE_NOT_ALLOWED);
    CHECK(close.reason == "text messages only");
}

TEST_CASE("a text message closes with 1003 where only binary has a callback")
{
    websock::Server server;
    server.on_binary([](const websock::Client &, websock::Bytes) {});
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_close().code == WS_CLOSE_NOT_ALLOWED);
}

TEST_CASE("a server without callbacks takes what comes")
{
    websock::Server server;
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    close_and_wait(client);
}

TEST_CASE("on_open comes before the first message, and on_close says how it ended")
{
    websock::Server server;
    Told<std::pair<int, std::string>> closed;
    server.on_open([](const websock::Client &client) { client.send("welcome"); });
    server.on_message([](const websock::Client &client, std::string_view) { client.send("echo"); });
    server.on_close([&](const websock::Client &, const websock::CloseInfo &info) {
        closed.tell({info.code(), std::string(info.reason())});
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_text() == "welcome");
    CHECK(client.receive_text() == "echo");
    client.send_close(4000, "enough");
    CHECK(closed.get() == std::pair<int, std::string>(4000, "enough"));
}

TEST_CASE("a callback takes its client as a reference, as a value or as anything")
{
    websock::Server server;
    server.on_open([](auto client) { client.send("value"); });
    server.on_message([](websock::Client client, auto text) { client.send(text); });
    server.on_pong([](const auto &client) { client.send("reference"); });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_text() == "value");
    client.send_text("x");
    CHECK(client.receive_text() == "x");
    client.send_frame(true, WS_OPCODE_PONG, "");
    CHECK(client.receive_text() == "reference");
}

TEST_CASE("a callback may be something that can only be moved, and has its own state")
{
    websock::Server server;
    server.on_message([count = std::make_unique<int>(0)](const websock::Client &client,
                                                         std::string_view) mutable {
        client.send(std::to_string(++*count));
    });
    Running running(server);
    Client client = running.connect();
    for (const char *const expected : {"1", "2"}) {
        client.send_text("x");
        CHECK(client.receive_text() == expected);
    }
}

TEST_CASE("what callbacks own is freed with the server, or when they are replaced")
{
    const auto owned = std::make_shared<int>(0);
    {
        websock::Server server;
        server.on_open([owned](const websock::Client &) {});
        CHECK(owned.use_count() == 2);
        server.on_open([](const websock::Client &) {});
        CHECK(owned.use_count() == 1);
        server.on_close([owned](const websock::Client &, const websock::CloseInfo &) {});
        Running running(server);
        Client client = running.connect();
        close_and_wait(client);
    }
    CHECK(owned.use_count() == 1);
}

TEST_CASE("a server may be moved; its callbacks go with it")
{
    websock::Server first;
    first.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text); });
    websock::Server server;
    server = std::move(first);
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_text() == "x");
}

TEST_CASE("an exception out of a callback is logged and closes with 1011")
{
    websock::Server server;
    Lines log(server);
    server.on_message([](const websock::Client &, std::string_view text) {
        if (text == "int")
            throw 1;
        throw std::runtime_error("no such command");
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(log.has(client.address() + ": on_message threw an exception: no such command"));
    Client other = running.connect();
    other.send_text("int");
    CHECK(other.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(log.has("on_message threw an exception: not a std::exception"));
}

TEST_CASE("an exception out of on_open or on_close ends nothing but that client")
{
    websock::Server server;
    Lines log(server);
    server.on_open([](const websock::Client &client) {
        if (client.request().path() == "/throw")
            throw std::runtime_error("no room");
    });
    server.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text); });
    server.on_close([](const websock::Client &, const websock::CloseInfo &) {
        throw std::runtime_error("too late");
    });
    Running running(server);
    Client refused = running.connect("/throw");
    CHECK(refused.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
    refused.send_close(WS_CLOSE_UNEXPECTED_ERROR);
    CHECK(log.has("on_open threw an exception: no room"));
    CHECK(log.has("on_close threw an exception: too late"));
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_text() == "x");
}

TEST_CASE("a send that fails as its client has gone is no error of the server")
{
    websock::Server server;
    Told<websock::LogLevel> level;
    server.on_log([&](websock::LogLevel each, std::string_view line) {
        if (line.find("on_message threw") != std::string_view::npos)
            level.tell(each);
    });
    server.on_message([](const websock::Client &client, std::string_view) {
        client.close(4000);
        client.send("too late");
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_close().code == 4000);
    CHECK(level.get() == websock::LogLevel::debug);
}

TEST_CASE("a log callback that throws harms nobody")
{
    websock::Server server({.close_trace_frames = 0});
    server.on_log([](websock::LogLevel, std::string_view) { throw std::runtime_error("no disk"); });
    server.on_message([](const websock::Client &, std::string_view) { throw 1; });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_close().code == WS_CLOSE_UNEXPECTED_ERROR);
}

TEST_CASE("a function throws the errno that its twin returns")
{
    websock::Server server;
    Told<std::vector<int>> told;
    server.on_open([&](const websock::Client &client) {
        told.tell({thrown_by([&] { client.send("\xff"); }), client.try_send("\xff").value(),
                   thrown_by([&] { client.close(1005); }), client.try_close(1'000'000).value(),
                   client.try_subscribe(std::string_view("a\0b", 3)).value(),
                   client.try_subscribe(std::string(300, 'x')).value(),
                   client.try_send("fine").value()});
    });
    Running running(server);
    Client client = running.connect();
    CHECK(told.get() == std::vector<int>{EILSEQ, EILSEQ, EINVAL, EINVAL, EINVAL, EINVAL, 0});
    CHECK(client.receive_text() == "fine");
}

TEST_CASE("a Client may be kept: it sends from any thread, and fails once the connection has ended")
{
    websock::Server server;
    Told<websock::Client> opened;
    Told<bool> closed;
    server.on_open([&](const websock::Client &client) { opened.tell(client); });
    server.on_close(
        [&](const websock::Client &, const websock::CloseInfo &) { closed.tell(true); });
    Running running(server);
    Client client = running.connect("/kept");
    const websock::Client kept = opened.get();
    kept.send("from another thread");
    CHECK(client.receive_text() == "from another thread");
    close_and_wait(client, 4001);
    CHECK(closed.get());
    CHECK(thrown_by([&] { kept.send("x"); }) == ENOTCONN);
    CHECK(kept.close_info().code() == 4001);
}

TEST_CASE("a Client may outlive its server")
{
    websock::Client kept;
    {
        websock::Server server;
        Told<websock::Client> opened;
        server.on_open([&](websock::Client client) { opened.tell(std::move(client)); });
        Running running(server);
        Client client = running.connect("/kept");
        kept = opened.get();
    }
    CHECK(kept.request().path() == "/kept");
    CHECK(kept.peer().starts_with("127.0.0.1:"));
    CHECK_FALSE(kept.is_open());
    CHECK(kept.try_send("x") == std::errc::not_connected);
    CHECK(kept.try_queue("x") == std::errc::not_connected);
    CHECK(kept.try_close() == std::errc::not_connected);
    CHECK(kept.try_post([] {}) == std::errc::not_connected);
    CHECK(kept.try_subscribe("news") == std::errc::not_connected);
    CHECK(kept.try_serve_as(websock::Style::session) == std::errc::operation_not_permitted);
}

TEST_CASE("copies of a Client are equal and have one hash; no client is none")
{
    websock::Server server;
    std::mutex mutex;
    std::vector<websock::Client> clients;
    Told<bool> both;
    server.on_open([&](const websock::Client &client) {
        const std::lock_guard lock(mutex);
        clients.push_back(client);
        if (clients.size() == 2)
            both.tell(true);
    });
    Running running(server);
    Client one = running.connect();
    Client two = running.connect();
    CHECK(both.get());
    const std::lock_guard lock(mutex);
    const websock::Client copy = clients[0];
    CHECK(copy == clients[0]);
    CHECK(copy != clients[1]);
    CHECK(((clients[0] < clients[1]) != (clients[1] < clients[0])));
    CHECK(std::hash<websock::Client>()(copy) == std::hash<websock::Client>()(clients[0]));
    CHECK(copy);
    CHECK_FALSE(websock::Client());
    CHECK(websock::Client().try_send("x") == std::errc::invalid_argument);
    websock::Client moved = std::move(clients[1]);
    CHECK_FALSE(clients[1]);
    CHECK(moved);
}

TEST_CASE("a message goes in fragments, or out of a file, or into a queue")
{
    websock::Server server;
    server.on_message([](const websock::Client &client, std::string_view text) {
        if (text == "fragments") {
            client.send_fragment("one ", WS_OPCODE_TEXT);
            client.send_fragment(bytes_of("two"), WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
        } else if (text == "file") {
            const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::tmpfile(),
                                                                        &std::fclose);
            (void)std::fputs("<page>", file.get());
            (void)std::fflush(file.get());
            client.send_file(WS_OPCODE_TEXT, ::fileno(file.get()), 1, 4);
        } else {
            client.queue("text");
            client.queue_binary(bytes_of("binary"));
        }
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("fragments");
    CHECK(client.receive_frame().payload == "one ");
    const Frame last = client.receive_frame();
    CHECK(last.fin);
    CHECK(last.payload == "two");
    client.send_text("file");
    CHECK(client.receive_text() == "page");
    client.send_text("queue");
    CHECK(client.receive_text() == "text");
    CHECK(client.receive_frame().payload == "binary");
}

TEST_CASE("a Ping's answer comes to on_pong, and control frames to on_control")
{
    websock::Server server;
    Told<std::string> control;
    server.on_open([](const websock::Client &client) { client.ping(); });
    server.on_pong([](const websock::Client &client) { client.send("pong"); });
    server.on_control([&](const websock::Client &, const websock::Frame &frame) {
        if (frame.opcode() == WS_OPCODE_PING && frame.is_final())
            control.tell(std::string(frame.payload()));
    });
    Running running(server);
    Client client = running.connect();
    CHECK(client.receive_frame().opcode == WS_OPCODE_PING);
    client.send_frame(true, WS_OPCODE_PONG, "");
    CHECK(client.receive_text() == "pong");
    client.send_frame(true, WS_OPCODE_PING, "p");
    CHECK(control.get() == "p");
}

TEST_CASE("a frame that is too large comes to on_frame_too_large, and closes with 1009")
{
    websock::Server server({.max_frame_payload = 100});
    Told<unsigned long long> size;
    server.on_frame_too_large(
        [&](const websock::Client &, const websock::Frame &frame) { size.tell(frame.size()); });
    Running running(server);
    Client client = running.connect();
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 101));
    CHECK(client.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
    CHECK(size.get() == 101);
}

TEST_CASE("messages go to all clients")
{
    websock::Server server;
    server.on_message([&](const websock::Client &, std::string_view text) {
        server.send_all(text);
        server.send_all_binary(bytes_of(text));
    });
    Running running(server);
    Client one = running.connect();
    Client two = running.connect();
    one.send_text(std::string(1000, 'x'));
    for (Client *client : {&one, &two}) {
        CHECK(client->receive_text() == std::string(1000, 'x'));
        CHECK(client->receive_frame().opcode == WS_OPCODE_BINARY);
    }
}

TEST_CASE("what was queued for a slow client has left: on_drain")
{
    websock::Server server({.max_queued_bytes = 100'000});
    server.on_open([](const websock::Client &client) {
        const std::string text(4'000'000, 'x');
        client.queue(text);
        while (!client.try_queue(text))
            ;
        CHECK(client.queued_bytes() > 0);
    });
    server.on_drain([](const websock::Client &client) { client.queue("drained"); });
    Running running(server);
    Client client = running.connect();
    while (client.receive_frame().payload != "drained")
        ;
}

TEST_CASE("messages of any length come in parts")
{
    websock::Server server;
    server.on_part([sum = 0ULL](const websock::Client &client, const websock::Part &part) mutable {
        CHECK(part.is_text());
        CHECK(part.offset() == sum);
        CHECK(part.bytes().size() == part.text().size());
        sum += part.size();
        if (part.is_last())
            client.send(std::to_string(sum));
    });
    Running running(server);
    Client client = running.connect();
    client.send_text(std::string(200'000, 'x'));
    CHECK(client.receive_text() == "200000");
}
