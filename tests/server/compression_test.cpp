// compression_test.cpp: permessage-deflate over real sockets: what is agreed, what leaves
// compressed and what does not, and what the figures say. The test's client keeps one state of zlib
// for all that it gets, so a message that refers to what never came is noticed. What clients do
// wrong is in compression_hostile_test.cpp.
#include "tests/server/topic_calls.h"
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

constexpr const char *kOffer = "permessage-deflate; client_max_window_bits";

void compress(libwebsock_context *context) { context->compression = 1; }

// Text that gets much smaller, and differs from one n to the next.
std::string prices(int n, size_t bytes)
{
    std::string text;
    for (; text.size() < bytes; ++n)
        text += R"({"symbol":"EURUSD","bid":1.0)" + std::to_string(100 + n % 900) +
                R"(,"sequence":)" + std::to_string(n) + "}";
    text.resize(bytes);
    return text;
}

// As random as bytes can be that are the same every time.
std::string noise(unsigned seed, size_t bytes)
{
    std::string out;
    for (uint64_t x = seed + 1; out.size() < bytes;) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out += static_cast<char>(x >> 32);
    }
    return out;
}

Client connect(Server &server, const char *offer = kOffer)
{
    Client client(server.port(), {.extensions = offer});
    client.handshake();
    return client;
}

std::string answer_to(Server &server, const char *offer)
{
    Client client(server.port(), {.extensions = offer});
    return client.handshake().header("Sec-WebSocket-Extensions");
}

libwebsock_compression_info info_of(libwebsock_client_state *client)
{
    libwebsock_compression_info info{};
    info.size = sizeof info;
    CHECK(libwebsock_client_compression(client, &info) == 0);
    return info;
}

int send(libwebsock_client_state *client, const std::string &text)
{
    return libwebsock_send_text_with_length(client, text.data(), text.size());
}

} // namespace

TEST_CASE("without ctx->compression no offer is accepted")
{
    Server server;
    CHECK(answer_to(server, kOffer) == "");
}

TEST_CASE("the first acceptable offer is accepted, and a bad one declined alone")
{
    Server server({.settings = compress});
    CHECK(answer_to(server, "permessage-deflate") == "permessage-deflate");
    CHECK(answer_to(server, kOffer) == "permessage-deflate; client_max_window_bits=10");
    CHECK(answer_to(server, "x-webkit-deflate-frame") == "");
    CHECK(answer_to(server, "permessage-deflate; nonsense, permessage-deflate; "
                            "server_max_window_bits=10") ==
          "permessage-deflate; server_max_window_bits=10");
    CHECK(answer_to(server, "permessage-deflate; server_max_window_bits=16") == "");
}

TEST_CASE("the window that clients are asked for is a setting")
{
    Server server({.settings = [](libwebsock_context *context) {
        context->compression = 1;
        context->compression_window_bits = 9;
    }});
    CHECK(answer_to(server, kOffer) == "permessage-deflate; client_max_window_bits=9");
    CHECK(answer_to(server, "permessage-deflate; client_max_window_bits=8") ==
          "permessage-deflate; client_max_window_bits=8");
    CHECK(answer_to(server, "permessage-deflate") == "permessage-deflate");
}

TEST_CASE("messages are echoed compressed, whatever their length")
{
    Server server({.settings = compress, .onmessage = echo});
    for (const char *const offer :
         {kOffer, "permessage-deflate", "permessage-deflate; server_no_context_takeover",
          "permessage-deflate; client_no_context_takeover",
          "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
          "permessage-deflate; server_max_window_bits=9"}) {
        CAPTURE(offer);
        Client client = connect(server, offer);
        for (const size_t len :
             std::initializer_list<size_t>{0, 1, 63, 64, 300, 3000, 70'000, 300'000}) {
            CAPTURE(len);
            const std::string text = prices(static_cast<int>(len), len);
            client.send_compressed(WS_OPCODE_TEXT, text);
            const Frame frame = client.receive_frame();
            CHECK(frame.payload == text);
            CHECK(frame.compressed ==
                  (len >= (std::string(offer).find("server_no") == std::string::npos ? 64 : 256)));
            CHECK((!frame.compressed || frame.wire_len < len));
        }
    }
}

// RFC 7692 7.2.1: "... the server MUST start compressing each new message with an empty ..."
TEST_CASE("a message refers to those before it")
{
    Server server({.settings = compress, .onmessage = echo});
    Client client = connect(server);
    client.send_text(prices(1, 1000));
    const size_t first = client.receive_frame().wire_len;
    client.send_text(prices(2, 1000));
    const size_t second = client.receive_frame().wire_len;
    CHECK(second < first);
    SUBCASE("but not where the client forbids it")
    {
        Client forgetful = connect(server, "permessage-deflate; server_no_context_takeover");
        for (int i = 0; i < 2; ++i) {
            forgetful.send_text(prices(1, 1000));
            CHECK(forgetful.receive_frame().wire_len == first);
        }
    }
}

TEST_CASE("without a history, clients are told that they need none")
{
    Server server({.settings =
                       [](libwebsock_context *context) {
                           context->compression = 1;
                           context->compression_history = 0;
                       },
                   .onmessage = echo});
    CHECK(answer_to(server, "permessage-deflate") ==
          "permessage-deflate; server_no_context_takeover");
    Client client = connect(server);
    for (int i = 0; i < 3; ++i) {
        client.send_compressed(WS_OPCODE_TEXT, prices(1, 1000));
        CHECK(client.receive_frame().payload == prices(1, 1000));
    }
}

TEST_CASE("plain messages from a client that compresses others are fine, and not referred to")
{
    Server server({.settings = compress, .onmessage = echo});
    Client client = connect(server);
    for (int i = 0; i < 20; ++i) {
        const std::string text = prices(i, 500);
        if (i % 3 == 0)
            client.send_text(text);
        else
            client.send_compressed(WS_OPCODE_TEXT, text);
        CHECK(client.receive_frame().payload == text);
    }
}

TEST_CASE("what does not get smaller leaves as it is")
{
    Server server({.settings = compress, .onmessage = echo});
    Client client = connect(server);
    for (unsigned i = 0; i < 40; ++i) {
        const std::string bytes = i % 4 == 3 ? prices(static_cast<int>(i), 3000) : noise(i, 3000);
        client.send_frame(true, WS_OPCODE_BINARY, bytes);
        const Frame frame = client.receive_frame();
        CHECK(frame.payload == bytes);
        if (i % 4 != 3)
            CHECK(!frame.compressed);
    }
}

TEST_CASE("what is short leaves as it is; how short is a setting")
{
    const auto lens = [](size_t threshold) {
        Server server({.settings =
                           [&](libwebsock_context *context) {
                               context->compression = 1;
                               context->compression_threshold = threshold;
                           },
                       .onmessage = echo});
        Client client = connect(server);
        size_t least = 0;
        for (size_t len = 10; least == 0; ++len) {
            client.send_text(std::string(len, 'a'));
            if (client.receive_frame().compressed)
                least = len;
        }
        return least;
    };
    CHECK(lens(0) == 64);
    CHECK(lens(100) == 100);
    CHECK(lens(10) == 10);
}

TEST_CASE("LIBWEBSOCK_UNCOMPRESSED leaves a message as it is")
{
    Server server({.settings = compress, .keep_handles = true});
    Client client = connect(server);
    libwebsock_client_state *const handle = server.handle();
    const std::string text = prices(0, 1000);
    const auto fragment = [&](int flags) {
        return libwebsock_send_fragment(handle, text.data(), text.size(), flags);
    };
    CHECK(fragment(WS_OPCODE_TEXT | WS_FRAGMENT_FIN | LIBWEBSOCK_UNCOMPRESSED) == 0);
    CHECK(!client.receive_frame().compressed);
    CHECK(fragment(WS_OPCODE_TEXT | WS_FRAGMENT_FIN) == 0);
    CHECK(client.receive_frame().compressed);
    CHECK(fragment(WS_OPCODE_TEXT | LIBWEBSOCK_UNCOMPRESSED) == 0);
    CHECK(fragment(WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN) == 0);
    CHECK(!client.receive_frame().compressed);
    CHECK(!client.receive_frame().compressed);
    CHECK(send(handle, text) == 0);
    CHECK(client.receive_frame().payload == text);
}

// RFC 7692 6.1: "An endpoint MUST NOT set the ... bit of ... non-first fragments ..."
// RFC 7692 7.2.1: "Note that for non-final fragments, the removal ... MUST NOT be done."
TEST_CASE("the fragments of a message are compressed as one")
{
    Server server({.settings = compress, .keep_handles = true});
    Client client = connect(server);
    libwebsock_client_state *const handle = server.handle();
    const std::vector<std::string> parts{prices(1, 1000), "", noise(2, 500), prices(3, 70'000), ""};
    std::string whole;
    for (size_t i = 0; i < parts.size(); ++i) {
        const int opcode = i == 0 ? WS_OPCODE_BINARY : WS_OPCODE_CONTINUE;
        const int fin = i + 1 == parts.size() ? WS_FRAGMENT_FIN : 0;
        CHECK(libwebsock_send_fragment(handle, parts[i].data(), parts[i].size(), opcode | fin) ==
              0);
        CHECK(libwebsock_ping(handle) == 0);
        if (i == 1)
            CHECK(send(handle, "between") == 0); // waits for the last fragment
    }
    for (size_t i = 0; i < parts.size(); ++i) {
        const Frame frame = client.receive_frame();
        CHECK(frame.payload == parts[i]);
        CHECK(frame.compressed);
        if (i + 1 == parts.size())
            CHECK(client.receive_text() == "between");
        CHECK(client.receive_frame().opcode == WS_OPCODE_PING);
    }
    CHECK(send(handle, prices(4, 500)) == 0);
    CHECK(client.receive_frame().payload == prices(4, 500));
}

TEST_CASE("onrequest can refuse compression")
{
    Server server(
        {.settings = compress, .onmessage = echo, .onrequest = [](Scene &, auto *client, auto *) {
             CHECK(libwebsock_refuse_compression(client) == 0);
             return 0;
         }});
    CHECK(answer_to(server, kOffer) == "");
    CHECK(error_of(libwebsock_refuse_compression(nullptr)) == EINVAL);
}

TEST_CASE("compression can be refused in onrequest alone")
{
    Server server({.settings = compress, .keep_handles = true});
    Client client = connect(server);
    CHECK(error_of(libwebsock_refuse_compression(server.handle())) == EPERM);
}

TEST_CASE("a client's figures say what was agreed and what was saved")
{
    Server server({.settings = compress, .onmessage = echo, .keep_handles = true});
    Client client = connect(server);
    libwebsock_client_state *const handle = server.handle();
    for (int i = 0; i < 10; ++i) {
        client.send_compressed(WS_OPCODE_TEXT, prices(i, 1000));
        CHECK(client.receive_frame().payload == prices(i, 1000));
    }
    const libwebsock_compression_info info = info_of(handle);
    CHECK(info.server_window_bits == 15);
    CHECK(info.client_window_bits == 10);
    CHECK(info.server_context_takeover == 1);
    CHECK(info.client_context_takeover == 1);
    CHECK(info.messages_in == 10);
    CHECK(info.bytes_in_after == 10'000);
    CHECK(info.bytes_in_before < 3000);
    CHECK(info.messages_out == 10);
    CHECK(info.bytes_out_before == 10'000);
    CHECK(info.bytes_out_after < 3000);
    CHECK(info.messages_out_uncompressed == 0);
    CHECK(info.memory > 2048);
    CHECK(info.memory <= 2048 + 1024);

    const libwebsock_statistics stats = server.stats();
    CHECK(stats.connections_compressed == 1);
    CHECK(stats.deflated_messages == 10);
    CHECK(stats.deflated_bytes_before == 10'000);
    CHECK(stats.deflated_bytes_after == info.bytes_out_after);
    CHECK(stats.uncompressed_messages == 0);
    CHECK(stats.deflations == 10);
    CHECK(stats.inflated_messages == 10);
    CHECK(stats.inflated_bytes_before == info.bytes_in_before);
    CHECK(stats.inflated_bytes_after == 10'000);
    CHECK(stats.compression_states >= 2);
    CHECK(stats.compression_state_bytes > 10'000);
}

TEST_CASE("states that nobody uses are given back")
{
    Server server({.settings = compress, .onmessage = echo});
    Client client = connect(server);
    client.send_compressed(WS_OPCODE_TEXT, prices(1, 1000));
    CHECK(client.receive_frame().payload == prices(1, 1000));
    CHECK(server.stats().compression_states > 0);
    CHECK(eventually([&] { return server.stats().compression_states == 0; }));
    CHECK(server.stats().compression_state_bytes == 0);
    client.send_compressed(WS_OPCODE_TEXT, prices(2, 1000));
    CHECK(client.receive_frame().payload == prices(2, 1000));
}

TEST_CASE("a client whose messages are not compressed has no such figures")
{
    Server server({.settings = compress, .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_compression_info info{};
    info.size = sizeof info;
    CHECK(error_of(libwebsock_client_compression(server.handle(), &info)) == ENOENT);
    CHECK(error_of(libwebsock_client_compression(nullptr, &info)) == EINVAL);
    CHECK(error_of(libwebsock_client_compression(server.handle(), nullptr)) == EINVAL);
    info.size = 1;
    CHECK(error_of(libwebsock_client_compression(server.handle(), &info)) == EINVAL);
}

TEST_CASE("what many get is compressed once, and then referred to like anything else")
{
    Server server({.settings = compress, .onmessage = [](Scene &, auto *client, auto *msg) {
                       (void)subscribe(client, "room"); // only the first one is new
                       CHECK(send(client, msg->payload) == 0);
                   }});
    std::vector<Client> clients;
    for (const char *const offer :
         {kOffer, "permessage-deflate", "permessage-deflate; server_no_context_takeover",
          "permessage-deflate; server_max_window_bits=9", ""}) {
        clients.push_back(connect(server, offer));
        clients.back().send_text("ready");
        CHECK(clients.back().receive_text() == "ready");
    }
    for (int i = 0; i < 20; ++i) {
        const std::string many = prices(i, i % 2 ? 500 : 3000);
        if (i % 4 < 2)
            CHECK(publish(server.context(), {.text = many}) == 0);
        else
            CHECK(libwebsock_send_all_text(server.context(), many.c_str()) == 0);
        for (size_t c = 0; c < clients.size(); ++c) {
            const Frame frame = clients[c].receive_frame();
            CHECK(frame.payload == many);
            const bool has_room = c < 3 || (c == 3 && many.size() < 512);
            CHECK(frame.compressed == has_room);
        }
        clients[0].send_text(prices(i, 300));
        CHECK(clients[0].receive_text() == prices(i, 300));
    }
}

TEST_CASE("a publication with LIBWEBSOCK_UNCOMPRESSED leaves as it is")
{
    std::atomic<int> flags{-1};
    static std::atomic<int> *told;
    told = &flags;
    Server server({.settings =
                       [](libwebsock_context *context) {
                           context->compression = 1;
                           context->onpublished = [](auto *, const libwebsock_publication *what) {
                               *told = what->flags;
                           };
                       },
                   .onopen = [](Scene &, auto *client) { subscribe(client, "room"); }});
    Client client = connect(server);
    (void)server.events().wait(Kind::open);
    const std::string text = prices(1, 1000);
    libwebsock_publication what{};
    what.size = sizeof what;
    what.topic = "room";
    what.payload = text.data();
    what.payload_len = text.size();
    what.flags = LIBWEBSOCK_UNCOMPRESSED;
    CHECK(eventually([&] { return libwebsock_topic_subscribers(server.context(), "room") == 1; }));
    CHECK(libwebsock_publish(server.context(), &what) == 0);
    CHECK(!client.receive_frame().compressed);
    CHECK(eventually([&] { return flags == LIBWEBSOCK_UNCOMPRESSED; }));
    what.flags = 0;
    CHECK(libwebsock_publish(server.context(), &what) == 0);
    CHECK(client.receive_frame().compressed);
    what.flags = 1;
    CHECK(error_of(libwebsock_publish(server.context(), &what)) == EINVAL);
    what.size = offsetof(libwebsock_publication, flags); // of a program built before there was one
    CHECK(libwebsock_publish(server.context(), &what) == 0);
}

TEST_CASE("senders, topics and messages for all may meet at one client")
{
    constexpr int kMessages = 400;
    Server server({.settings =
                       [](libwebsock_context *context) {
                           context->compression = 1;
                           CHECK(configure(context, "", {.messages = 100'000}) == 0);
                       },
                   .onopen = [](Scene &, auto *client) { subscribe(client, "room"); },
                   .onmessage = echo,
                   .keep_handles = true});
    Client client = connect(server);
    libwebsock_client_state *const handle = server.handle();
    CHECK(eventually([&] { return libwebsock_topic_subscribers(server.context(), "room") == 1; }));
    const auto text = [](const std::string &who, int i) {
        return who + " " + std::to_string(i) + " " + prices(i, static_cast<size_t>(100 + i * 7));
    };
    std::vector<std::thread> threads;
    const auto repeat = [&](const std::string &who, const auto &f) {
        threads.emplace_back([&, who, f] {
            for (int i = 0; i < kMessages; ++i)
                f(text(who, i));
        });
    };
    repeat("a", [&](const std::string &what) { CHECK(send(handle, what) == 0); });
    repeat("b", [&](const std::string &what) { CHECK(send(handle, what) == 0); });
    repeat("topic",
           [&](const std::string &what) { CHECK(publish(server.context(), {.text = what}) == 0); });
    repeat("all", [&](const std::string &what) {
        while (error_of(libwebsock_send_all_text(server.context(), what.c_str())) != 0)
            FAIL("send_all");
    });
    repeat("queue", [&](const std::string &what) {
        while (error_of(libwebsock_queue_text(handle, what.data(), what.size())) == ENOBUFS)
            std::this_thread::yield();
    });
    repeat("fragments", [&](const std::string &what) {
        const size_t half = what.size() / 2;
        CHECK(libwebsock_send_fragment(handle, what.data(), half, WS_OPCODE_TEXT) == 0);
        CHECK(libwebsock_send_fragment(handle, what.data() + half, what.size() - half,
                                       WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN) == 0);
    });
    std::map<std::string, int> next;
    for (int i = 0; i < 6 * kMessages; ++i) {
        if (i % 50 == 0)
            client.send_compressed(WS_OPCODE_TEXT, "echo 0 " + prices(i, 200));
        Frame frame = client.receive_frame();
        std::string whole = frame.payload;
        while (!frame.fin) {
            frame = client.receive_frame();
            whole += frame.payload;
        }
        const std::string who = whole.substr(0, whole.find(' '));
        if (who == "echo") {
            --i;
            continue;
        }
        CHECK(whole == text(who, next[who]++));
    }
    for (std::thread &thread : threads)
        thread.join();
}
