// log_test.cpp: which end of a connection gets which log line, what a peer can influence in
// it, and what happens to a flood of lines. What a server counts is in stats_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>

using namespace test;

namespace {

// The only line about this client above DEBUG; "" if there is none.
std::string line_about(Server &server, const std::string &address)
{
    std::string found;
    for (const LogLine &line : server.log().lines()) {
        if (line.level == LIBWEBSOCK_LOG_DEBUG || line.text.find(address) == std::string::npos)
            continue;
        CHECK(found == "");
        found = line.text;
    }
    return found;
}

size_t count_lines(Server &server, const std::string &words)
{
    const std::vector<LogLine> lines = server.log().lines();
    return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [&](const LogLine &line) {
        return line.text.find(words) != std::string::npos;
    }));
}

// The total of the lines that say how many were left out.
size_t summed_up(Server &server, const std::string &what)
{
    size_t sum = 0;
    for (const LogLine &line : server.log().lines())
        if (line.text.ends_with(" similar lines left out in the last second: " + what))
            sum += std::stoul(line.text);
    return sum;
}

} // namespace

TEST_CASE("a connection that times out without a byte is logged no louder than one that closes")
{
    const int timeout_ms = short_handshake_ms();
    Server server({.settings = [=](auto *context) { context->handshake_timeout_ms = timeout_ms; }});
    Client silent(server.port()); // with TLS its handshake is done, as a browser's is
    CHECK(silent.receive_http().status == 408);
    Client mute(server.port(), {.transport = Transport::plain}); // with TLS not even that
    mute.drain();
    Client slow(server.port());
    slow.send_raw("G");
    CHECK(slow.receive_http().status == 408);
    CHECK(
        server.log().has(LIBWEBSOCK_LOG_DEBUG, {silent.address(), "no complete request in time"}));
    CHECK(server.log().has(LIBWEBSOCK_LOG_DEBUG, {mute.address(), "in time"}));
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {slow.address(), "refused with 408"}));
    CHECK(eventually([&] { return server.stats().connections_refused == 3; }));
    CHECK(server.stats().refused_late == (over_tls() ? 2 : 3));
    CHECK(server.stats().refused_tls == (over_tls() ? 1 : 0));
    CHECK(line_about(server, silent.address()) == "");
    CHECK(line_about(server, mute.address()) == "");
}

TEST_CASE("a client that just vanishes gets a short line, without the last frames")
{
    Server server;
    Client closes = Client::open(server.port());
    Client resets = Client::open(server.port());
    const std::string addresses[] = {closes.address(), resets.address()};
    closes.send_text("hello");
    resets.send_text("hello");
    server.events().wait(Kind::message, 2);
    closes.half_close();
    server.events().wait(Kind::close, 1);
    resets.reset();
    CHECK(server.events().wait(Kind::close, 2).text.find("reset") != std::string::npos);
    for (const std::string &gone : addresses) {
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {gone}));
        const std::string line = line_about(server, gone);
        CAPTURE(line);
        CHECK(line.find("last frames") == std::string::npos);
        CHECK(line.size() < 80);
    }
}

TEST_CASE("a client that breaks the rules or falls silent gets a line with the last frames")
{
    const std::string ends[] = {encode_frame(true, 3, ""), ""};
    for (const std::string &bytes : ends) {
        const int idle_ms = bytes.empty() ? 200 : 60000;
        Server server({.settings = [=](auto *context) { context->idle_timeout_ms = idle_ms; }});
        Client client = Client::open(server.port());
        client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "hello") + bytes);
        const char *reason = bytes.empty() ? "silent for 200 ms" : "1002: ";
        CHECK(server.log().has(LIBWEBSOCK_LOG_INFO,
                               {client.address(), reason, "; last frames in: text 5 B "}));
    }
}

TEST_CASE("text from a peer cannot control the log, nor pass for a line of its own")
{
    Server server;
    const std::string nasty = "first\nsecond\x1b[2J\xc2\x85\xc2\x9b\xe2\x80\xae\xe2\x80\xa8\x7f\\n";
    const std::string seen = "first\\nsecond\\x1b[2J\\u0085\\u009b\\u202e\\u2028\\x7f\\\\n";
    Client client = Client::open(server.port());
    client.send_close(1002, nasty);
    client.receive_close();
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "closed, 1002 " + seen}));
    server.events().wait(Kind::close);
    CHECK(server.events().all(Kind::close).front().text == nasty); // as it was sent
}

TEST_CASE("a line stays within its limit however much of it is escaped")
{
    Server server({.onrequest = [](Scene &, auto *, auto *) { return 404; }});
    Client client(server.port());
    client.send_raw(upgrade_request("/" + std::string(10000, '\xff')));
    CHECK(client.receive_http().status == 404);
    REQUIRE(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address(), "\\xff\\xff"}));
    const std::string line = line_about(server, client.address());
    CHECK(line.size() <= 1023);
    CHECK(line.ends_with("\\xff"));
    CHECK(line.find('\xff') == std::string::npos);
}

TEST_CASE("the line about a request that onrequest refuses names method and path, not the query")
{
    Server server({.onrequest = [](Scene &, auto *, auto *) { return 401; }});
    Client client(server.port());
    client.send_raw("DELETE /rooms/caf\xc3\xa9\xc2\x9b?token=secret HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(client.receive_http().status == 401);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO,
                           {client.address() + ": onrequest returned 401: "
                                               "DELETE /rooms/caf\xc3\xa9\\u009b"}));
    CHECK(count_lines(server, "secret") == 0);
    Client wordy(server.port());
    wordy.send_raw(upgrade_request("/" + std::string(5000, 'x')));
    CHECK(wordy.receive_http().status == 401);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {wordy.address(), "GET /xxx"}));
    CHECK(line_about(server, wordy.address()).size() < 250);
}

TEST_CASE("a Close code that may not be sent is named to the program, the log and the peer")
{
    Server server;
    Client client = Client::open(server.port());
    client.send_close(1005);
    const Close close = client.receive_close();
    CHECK(close.code == 1002);
    CHECK(close.reason == "Close frame has code 1005, which may not be sent");
    const std::string reason = "1002: Close frame has code 1005, which may not be sent";
    CHECK(server.events().wait(Kind::close).text == reason);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {client.address() + ": " + reason}));
}

TEST_CASE("a flood of refusals becomes some lines and a total, and is counted in full")
{
    constexpr size_t kFlood = 100; // all at once, after their TLS handshakes
    Server server({.settings = [](auto *context) { context->handshake_timeout_ms = 60000; },
                   .onrequest = [](Scene &, auto *, auto *) { return 401; }});
    std::vector<Client> clients;
    for (size_t i = 0; i < kFlood; i++)
        clients.emplace_back(server.port());
    for (Client &client : clients)
        client.send_raw(upgrade_request());
    for (Client &client : clients)
        CHECK(client.receive_http().status == 401);
    Client other(server.port()); // another kind of line, not held back by the flood
    other.send_raw("nonsense\r\n\r\n");
    other.receive_http();
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO, {other.address(), "refused with 400"}));
    // The last total comes when its second is over, even if nothing more happens.
    CHECK(eventually([&] {
        return count_lines(server, ": onrequest returned 401") +
                   summed_up(server, "refused by onrequest") ==
               kFlood;
    }));
    CHECK(summed_up(server, "refused by onrequest") > 0);
    CHECK(server.log().has(LIBWEBSOCK_LOG_INFO,
                           {" similar lines left out in the last second: refused by onrequest"}));
    CHECK(server.stats().refused_by_onrequest == kFlood);
}

TEST_CASE("connections without room are summed up as well, and stopping does not lose the total")
{
    constexpr size_t kFlood = 300;
    Server server({.settings = [](auto *context) { context->max_connections = 1; }});
    Client first = Client::open(server.port());
    for (size_t i = 0; i < kFlood; i++) {
        Client next(server.port(), {.tls = {.may_be_refused = true}});
        next.drain();
    }
    CHECK(eventually([&] { return server.stats().refused_no_room == kFlood; }));
    first.send_close(WS_CLOSE_NORMAL);
    first.drain();
    CHECK(server.stop_and_join() == 0);
    CHECK(count_lines(server, ": refused, no room: ") + summed_up(server, "refused, no room") ==
          kFlood);
    CHECK(summed_up(server, "refused, no room") > 0);
}

TEST_CASE("a flood of clients that fail becomes some lines and a total")
{
    constexpr size_t kClients = 60;
    Server server;
    for (size_t i = 0; i < kClients; i++) {
        Client client = Client::open(server.port());
        client.send_frame(true, 0x3, "");
        client.drain();
    }
    server.events().wait(Kind::close, kClients);
    CHECK(eventually([&] {
        return count_lines(server, "reserved opcode") +
                   summed_up(server, "clients that failed or vanished") ==
               kClients;
    }));
}

TEST_CASE("a log that never ends takes turns with the callbacks")
{
    static std::atomic<bool> goes_on; // each line causes another one
    goes_on = true;
    Server server({.settings =
                       [](auto *context) {
                           context->max_workers = 1;
                           context->onlog = [](libwebsock_context *ctx, int, const char *) {
                               if (goes_on)
                                   (void)libwebsock_bind(ctx, "127.0.0.1", "no port");
                           };
                       },
                   .onmessage = echo});
    Client client = Client::open(server.port());
    for (int i = 0; i < 100; i++) {
        client.send_text("in between");
        CHECK(client.receive_text() == "in between");
    }
    goes_on = false;
}
