// request_body_test.cpp: requests with a body, over real sockets: what onrequest gets, what is
// refused, and what it costs. How chunks are read is in protocol/request_body_test.cpp.
#include "tests/support/failing_allocator.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <optional>

using namespace test;

namespace {

constexpr size_t kMax = 1000;
constexpr size_t kMiB = 1024 * 1024;

using Request = const libwebsock_request *;

std::string post(const std::string &headers, const std::string &target = "/")
{
    return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

std::string with_length(size_t length, const std::string &headers = "")
{
    return post("Content-Length: " + std::to_string(length) + "\r\n" + headers);
}

std::string in_chunks(std::string_view body, size_t size)
{
    std::string all;
    for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
        const std::string_view chunk = body.substr(0, size);
        char line[32];
        (void)std::snprintf(line, sizeof line, "%zx\r\n", chunk.size());
        all.append(line).append(chunk).append("\r\n");
    }
    return all + "0\r\n\r\n";
}

const std::string kChunked = post("Transfer-Encoding: chunked\r\n");

// Answers with the body that came, if a NUL follows it.
int send_back(libwebsock_client_state *client, Request request)
{
    const auto *body = static_cast<const char *>(request->body);
    if (!body || body[request->body_len] != '\0')
        return 500;
    return libwebsock_respond(client, 200, "text/plain", body, request->body_len) == 0 ? 0 : 503;
}

Behaviour taking(size_t max)
{
    return {.settings = [max](auto *context) { context->max_request_body = max; },
            .onmessage = echo,
            .onrequest =
                [](Scene &, auto *client, Request request) {
                    return request->is_websocket ? 0 : send_back(client, request);
                }};
}

HttpAnswer answer_to(int port, const std::string &bytes)
{
    Client client(port);
    client.send_raw(bytes);
    HttpAnswer answer = client.receive_http();
    client.expect_eof();
    return answer;
}

// Letters that show where they belong.
std::string letters(size_t len)
{
    std::string text;
    for (size_t i = 0; i < len; ++i)
        text += static_cast<char>('a' + (i * 31 + i / 997) % 26);
    return text;
}

bool is_continue(const HttpAnswer &answer)
{
    return answer.head == "HTTP/1.1 100 Continue\r\n\r\n";
}

} // namespace

TEST_CASE("a body reaches the hook whole, with a length and in chunks, with a NUL behind it")
{
    Server server(taking(3 * kMiB));
    const std::string binary("a\0\r\n\r\nb\xff", 8);
    CHECK(answer_to(server.port(), with_length(binary.size()) + binary).body == binary);
    CHECK(answer_to(server.port(), kChunked + in_chunks(binary, 3)).body == binary);
    const std::string large = letters(3 * kMiB);
    bool same = answer_to(server.port(), with_length(large.size()) + large).body == large;
    CHECK(same);
    for (size_t size : {size_t{100}, size_t{70'001}, large.size()}) {
        CAPTURE(size);
        same = answer_to(server.port(), kChunked + in_chunks(large, size)).body == large;
        CHECK(same);
    }
    CHECK(server.events().count(Kind::request) == 6);
}

TEST_CASE("a body that comes byte by byte is put together")
{
    Server server(taking(kMax));
    for (const std::string &bytes : {with_length(5) + "hello", kChunked + in_chunks("hello", 2)}) {
        Client client(server.port());
        for (const char byte : bytes)
            client.send_raw({&byte, 1});
        CHECK(client.receive_http().body == "hello");
    }
}

TEST_CASE("a request without a body has an empty one")
{
    Server server(taking(kMax));
    for (const std::string &bytes :
         {post(""), with_length(0), kChunked + "0\r\n\r\n", post("Expect: 100-continue\r\n"),
          with_length(0, "Expect: 100-continue\r\n"), std::string("GET / HTTP/1.0\r\n\r\n")}) {
        CAPTURE(bytes);
        const HttpAnswer answer = answer_to(server.port(), bytes);
        CHECK(answer.status == 200);
        CHECK(answer.body == "");
    }
    Server other({.onrequest = [](Scene &, auto *client, Request request) {
        return send_back(client, request); // without the setting
    }});
    CHECK(answer_to(other.port(), post("")).status == 200);
}

TEST_CASE("without the setting, or without a hook, every body is refused with 413")
{
    Server unset(taking(0));
    Server hookless({.settings = [](auto *context) { context->max_request_body = kMax; }});
    for (Server *server : {&unset, &hookless}) {
        for (const std::string &bytes :
             {with_length(5), with_length(5) + "hello", with_length(5, "Expect: 100-continue\r\n"),
              kChunked, post("Transfer-Encoding: gzip, chunked\r\n")}) {
            CAPTURE(bytes);
            const HttpAnswer answer = answer_to(server->port(), bytes);
            CHECK(answer.status == 413);
            CHECK(answer.body == "requests with a body are not supported\n");
        }
        CHECK(server->events().count(Kind::request) == 0);
    }
}

TEST_CASE("a body that is too large is refused with 413 before it comes")
{
    Server server(taking(kMax));
    const std::string full = letters(kMax);
    CHECK(answer_to(server.port(), with_length(kMax) + full).body == full);
    CHECK(answer_to(server.port(), kChunked + in_chunks(full, 300)).body == full);
    for (const std::string &bytes :
         {with_length(kMax + 1), with_length(kMax + 1, "Expect: 100-continue\r\n"),
          with_length(SIZE_MAX), kChunked + "3e9\r\n", kChunked + "3e8\r\n" + full + "\r\n1\r\n"}) {
        CAPTURE(bytes);
        const HttpAnswer answer = answer_to(server.port(), bytes);
        CHECK(answer.status == 413);
        CHECK(answer.body == "the request's body is too large\n");
    }
    CHECK(server.events().count(Kind::request) == 2);
    CHECK(eventually([&] { return server.stats().refused_request == 5; }));
}

TEST_CASE("a client that sends all of a body that is too large gets to see the 413")
{
    Server server(taking(kMax));
    const HttpAnswer answer = answer_to(server.port(), with_length(4 * kMiB) + letters(4 * kMiB));
    CHECK(answer.status == 413);
}

TEST_CASE("what says two things about the body, or nothing that is known, is refused")
{
    Server server(taking(kMax));
    const struct {
        std::string headers;
        int status;
    } cases[] = {
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
        {"Content-Length: five\r\n", 400},
        {"Content-Length: -5\r\n", 400},
        {"Transfer-Encoding: chunked, gzip\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 400},
        {"Transfer-Encoding: gzip, chunked\r\n", 501},
    };
    for (const auto &tried : cases) {
        CAPTURE(tried.headers);
        CHECK(answer_to(server.port(), post(tried.headers) + "hello").status == tried.status);
    }
    CHECK(answer_to(server.port(), "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
              .status == 400);
    CHECK(answer_to(server.port(), kChunked + "5;\x01\r\n").status == 400);
    CHECK(answer_to(server.port(), kChunked + "1\r\nxy\r\n").status == 400);
    CHECK(answer_to(server.port(), kChunked + "1;" + std::string(17'000, 'e')).status == 431);
    CHECK(answer_to(server.port(), post("Content-Length: 5\r\nContent-Length: 5\r\n") + "hello")
              .body == "hello");
    CHECK(server.events().count(Kind::request) == 1);
}

TEST_CASE("who waits for 100 gets it, and then the answer")
{
    Server server(taking(kMax));
    for (const bool chunked : {false, true}) {
        CAPTURE(chunked);
        const std::string expect = "Expect: 100-Continue\r\n";
        Client client(server.port());
        client.send_raw(chunked ? post("Transfer-Encoding: chunked\r\n" + expect)
                                : with_length(5, expect));
        CHECK(is_continue(client.receive_http(false)));
        client.send_raw(chunked ? in_chunks("hello", 5) : "hello");
        CHECK(client.receive_http().body == "hello");
        client.expect_eof();
    }
    // Who has sent some of it does not wait.
    CHECK(answer_to(server.port(), with_length(5, "Expect: 100-continue\r\n") + "hello").status ==
          200);
    // HTTP/1.0 has no 100.
    Client old(server.port());
    old.send_raw("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(eventually([&] { return server.stats().bytes_in > 0; }));
    old.send_raw("hello");
    CHECK(old.receive_http().body == "hello");
}

TEST_CASE("a body that does not come in time is refused with 408, and nobody else waits for it")
{
    Behaviour behaviour = taking(kMax);
    behaviour.settings = [](auto *context) {
        context->max_request_body = kMax;
        context->handshake_timeout_ms = short_handshake_ms();
    };
    Server server(std::move(behaviour));
    Client slow(server.port());
    slow.send_raw(with_length(5) + "hell");
    Client open = Client::open(server.port());
    open.send_text("alive");
    CHECK(open.receive_text() == "alive");
    CHECK(slow.receive_http().status == 408);
    slow.expect_eof();
    CHECK(eventually([&] { return server.stats().refused_late == 1; }));
    CHECK(server.events().count(Kind::request) == 1); // that of the other
}

TEST_CASE("a client that leaves in the middle of its body is gone, and the hook is not called")
{
    Server server(taking(kMax));
    for (const std::string &bytes : {with_length(5) + "hell", kChunked + "5\r\nhell"}) {
        Client client(server.port());
        client.send_raw(bytes);
        client.half_close();
        client.drain();
    }
    CHECK(eventually([&] { return server.stats().refused_gone == 2; }));
    CHECK(server.events().count(Kind::request) == 0);
}

TEST_CASE("upgrades are as they were, and may have no body")
{
    Server server(taking(kMax));
    Client client = Client::open(server.port());
    client.send_text("hello");
    CHECK(client.receive_text() == "hello");
    for (const char *header : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
        CAPTURE(header);
        CHECK(answer_to(server.port(), upgrade_request("/", header)).status == 400);
    }
}

TEST_CASE("a request that follows a body is not read")
{
    Server server(taking(kMax));
    const std::string next = post("", "/second");
    CHECK(answer_to(server.port(), with_length(5) + "hello" + next).body == "hello");
    CHECK(answer_to(server.port(), kChunked + in_chunks("hello", 5) + next).body == "hello");
    CHECK(server.events().count(Kind::request) == 2);
    for (const Event &request : server.events().all(Kind::request))
        CHECK(request.text == "/");
}

TEST_CASE("a length takes no memory before the bytes come")
{
    Server server(taking(SIZE_MAX / 4));
    Client client(server.port());
    const AllocationWatch watch;
    client.send_raw(with_length(size_t{1} << 29) + "hello");
    CHECK(eventually([&] { return server.stats().bytes_in > 60; }));
    client.send_raw(letters(5000));
    CHECK(eventually([&] { return server.stats().bytes_in > 5060; }));
    CHECK(watch.largest() < kMiB);
}

TEST_CASE("a body can be read as long as the handle is kept")
{
    std::atomic<libwebsock_client_state *> kept = nullptr;
    Behaviour behaviour = taking(kMax);
    behaviour.onrequest = [&kept](Scene &, auto *client, Request request) {
        kept = libwebsock_retain(client);
        return send_back(client, request);
    };
    Server server(std::move(behaviour));
    CHECK(answer_to(server.port(), with_length(5) + "hello").body == "hello");
    CHECK(eventually([&] { return server.stats().refused_plain_http == 1; }));
    Request request = libwebsock_client_request(kept);
    CHECK(std::string(static_cast<const char *>(request->body), request->body_len) == "hello");
    libwebsock_release(kept);
}

TEST_CASE("each allocation for a request with a body may fail")
{
    Server server({.settings = [](libwebsock_context *context) {
        context->max_request_body = kMiB;
        context->onrequest = send_back;
        context->onlog = [](libwebsock_context *, int, const char *) {};
    }});
    const std::string body = letters(50'000);
    const std::string request = post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
    const std::string chunks = in_chunks(body, 7000);
    // Allocations may fail from the request on, behind the TLS handshake.
    const auto try_once = [&](std::optional<FailingAllocations> &failing, size_t nth) {
        Client client(server.port());
        client.send_raw("POST");
        if (nth != 0)
            failing.emplace(nth, Failing::one);
        client.send_raw(request.substr(4));
        HttpAnswer answer = client.receive_http(false);
        if (is_continue(answer)) {
            client.send_raw(chunks);
            answer = client.receive_http();
        }
        if (nth == 0 || answer.status != 503)
            REQUIRE(answer.body == body);
    };
    std::optional<FailingAllocations> none;
    try_once(none, 0);
    size_t lost = 0;
    bool has_failed = true;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        std::optional<FailingAllocations> failing;
        try {
            try_once(failing, nth);
        } catch (const std::exception &error) {
            const std::string_view what = error.what();
            REQUIRE(what.find("deadline") == std::string_view::npos); // it may end, but not hang
            ++lost;
        }
        REQUIRE(eventually([&] {
            const libwebsock_statistics stats = server.stats();
            return stats.connections_refused == stats.connections_accepted;
        }));
        has_failed = failing->have_begun();
        failing.reset();
        try_once(none, 0);
    }
    CHECK(lost > 3);
}
