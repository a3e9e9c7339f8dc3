// stats_test.cpp: what a server can report about itself: why connections were refused, how
// they ended, and what the last frames were when one ended badly.
#include "tests/support/server.h"

#include <doctest/doctest.h>

using namespace test;

namespace {

unsigned long long refused_in_all(const libwebsock_statistics &stats)
{
    return stats.refused_no_room + stats.refused_tls + stats.refused_late + stats.refused_request +
           stats.refused_by_onrequest + stats.refused_plain_http + stats.refused_gone +
           stats.refused_for_newer;
}

// Whether count connections are counted as refused for this reason, and as much in total.
bool counts(Server &server, unsigned long long libwebsock_statistics::*reason,
            unsigned long long count = 1)
{
    const auto is_counted = [&] { return server.stats().*reason == count; };
    return eventually(is_counted) &&
           server.stats().connections_refused == refused_in_all(server.stats());
}

} // namespace

TEST_CASE("refused connections are counted by reason")
{
    Server server(
        {.settings = [](auto *context) { context->handshake_timeout_ms = short_handshake_ms(); },
         .onrequest =
             [](Scene &, auto *client, auto *request) {
                 if (std::string_view(request->path) == "/page")
                     libwebsock_respond(client, 200, "text/plain", "hello", 5);
                 return std::string_view(request->path) == "/forbidden" ? 403 : 0;
             }});
    const auto answer_to = [&](const std::string &request) {
        Client client(server.port());
        client.send_raw(request);
        return client.receive_http().status;
    };
    CHECK(answer_to("nonsense\r\n\r\n") == 400);
    CHECK(counts(server, &libwebsock_statistics::refused_request));
    CHECK(answer_to("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == 426);
    CHECK(counts(server, &libwebsock_statistics::refused_request, 2));
    CHECK(answer_to(upgrade_request("/forbidden")) == 403);
    CHECK(counts(server, &libwebsock_statistics::refused_by_onrequest));
    CHECK(answer_to("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200);
    CHECK(counts(server, &libwebsock_statistics::refused_plain_http));
    CHECK(answer_to("") == 408);
    CHECK(counts(server, &libwebsock_statistics::refused_late));
    Client(server.port()).half_close();
    CHECK(counts(server, &libwebsock_statistics::refused_gone));
    CHECK(server.stats().refused_tls == 0);
    CHECK(server.stats().connections_open == 0);
}

TEST_CASE("connections refused for lack of room are counted")
{
    Server server({.settings = [](auto *context) { context->max_connections = 1; }});
    Client first = Client::open(server.port());
    Client second(server.port(), {.tls = {.may_be_refused = true}});
    second.drain();
    CHECK(counts(server, &libwebsock_statistics::refused_no_room));
    CHECK(server.stats().connections_accepted == 2);
}

TEST_CASE("connections dropped to make room for newer ones are counted")
{
    Server server({.settings = [](auto *context) { context->max_handshakes = 1; }});
    Client silent(server.port(), {.transport = Transport::plain});
    CHECK(eventually([&] { return server.stats().connections_accepted == 1; }));
    Client::open(server.port());
    silent.drain();
    CHECK(counts(server, &libwebsock_statistics::refused_for_newer));
}

TEST_CASE("waiting events are counted one by one, not per client")
{
    constexpr unsigned long long kMessages = 200;
    Server server({.onmessage = [](Scene &scene, auto *, auto *) { scene.gate.wait(); }});
    Client client = Client::open(server.port());
    Client other = Client::open(server.port());
    server.events().wait(Kind::open, 2); // so that these share no batch with a message
    for (unsigned long long i = 0; i < kMessages; i++)
        client.send_text("one of many");
    other.send_text("a single one");
    // One event of each client is running.
    CHECK(eventually([&] {
        const libwebsock_statistics stats = server.stats();
        return stats.events_queued == kMessages - 1 && stats.workers_busy == 2;
    }));
    server.gate().open();
    CHECK(eventually([&] { return server.stats().events_queued == 0; }));
}

TEST_CASE("clients are counted by the code they ended with")
{
    Server server;
    const auto ends_with = [&](unsigned code) {
        Client client = Client::open(server.port());
        client.send_close(code);
        client.receive_close();
        client.drain();
    };
    ends_with(1000);
    ends_with(1000);
    ends_with(1001);
    ends_with(4321);
    Client client = Client::open(server.port());
    client.reset();
    server.events().wait(Kind::close, 5);
    CHECK(eventually([&] { return server.stats().connections_open == 0; }));
    const libwebsock_statistics stats = server.stats();
    CHECK(stats.closed[0] == 2);
    CHECK(stats.closed[1] == 1);
    CHECK(stats.closed[6] == 1);
    CHECK(stats.closed[16] == 1);
}

TEST_CASE("a client that is dropped because it does not read is counted")
{
    Server server({.settings = [](auto *context) { context->send_timeout_ms = 100; },
                   .onmessage =
                       [](Scene &, auto *client, auto *) {
                           const std::string chunk(1 << 20, 'x');
                           while (libwebsock_send_binary(client, chunk.data(), chunk.size()) == 0) {
                           }
                       }});
    Client lazy(server.port(), {.receive_buffer = 16384});
    lazy.handshake();
    lazy.send_text("send me everything");
    server.events().wait(Kind::close);
    CHECK(server.stats().send_timeouts == 1);
}

TEST_CASE("the log line of a bad end names the last frames, and when they came")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
    client.send_frame(false, WS_OPCODE_BINARY, std::string(300, 'x'));
    client.send_frame(true, WS_OPCODE_PING, "");
    client.receive_frame();
    client.send_frame(true, 3, ""); // a reserved opcode
    CHECK(client.receive_close().code == 1002);
    client.drain();
    CHECK(
        server.log().has(LIBWEBSOCK_LOG_INFO,
                         {client.address() + ": 1002", "; last frames in: text 5 B ",
                          " ms ago, binary (more) 300 B ", ", ping 0 B ", ", reserved opcode 0 B ",
                          "; last frames out: text 5 B ", ", pong 0 B ", ", close 17 B "}));
}

TEST_CASE("a peer that reports an error is logged, one that just leaves is not")
{
    Server server;
    Client unhappy = Client::open(server.port());
    unhappy.send_close(1002, "your frames are wrong");
    unhappy.receive_close();
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO,
                           {unhappy.address(), "closed, 1002 your frames are wrong",
                            "; last frames in: close 23 B "}));
    Client content = Client::open(server.port());
    content.send_close(1000);
    content.receive_close();
    CHECK(server.log().has(LIBWEBSOCK_LOG_DEBUG, {content.address(), "closed, 1000"}));
    for (const LogLine &line : server.log().lines())
        CHECK((line.text.find("last frames") == std::string::npos ||
               line.text.find("1002") != std::string::npos));
}

TEST_CASE("the trace holds the newest close_trace_frames")
{
    const auto trace_of = [](size_t frames) {
        Server server({.settings = [=](auto *context) { context->close_trace_frames = frames; }});
        Client client = Client::open(server.port());
        for (int i = 1; i <= 20; i++)
            client.send_text(std::string(static_cast<size_t>(i), 'x'));
        client.send_frame(true, 3, "");
        client.receive_close();
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "1002"}));
        for (const LogLine &line : server.log().lines())
            if (line.level == LIBWEBSOCK_LOG_INFO)
                return line.text;
        return std::string();
    };
    const std::string four = trace_of(4);
    CHECK(four.find("last frames in: text 18 B ") != std::string::npos);
    CHECK(four.find("text 17 B ") == std::string::npos);
    CHECK(trace_of(0).find("last frames") == std::string::npos);
}

TEST_CASE("a trace longer than a log line can hold is refused")
{
    Server server({.settings = [](auto *context) { context->close_trace_frames = 17; }});
    CHECK(server.join() == EINVAL);
    CHECK(server.log().has(LIBWEBSOCK_LOG_ERROR, {"close_trace_frames"}));
}
