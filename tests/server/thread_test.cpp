// thread_test.cpp: which threads run callbacks, how many at once and in what order; sends from
// many threads. Stopping is in stop_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <set>

using namespace test;

TEST_CASE("no callback runs on the thread that waits")
{
    Server server(
        {.onrequest = [](Scene &, auto *, auto *) { return 0; }, .max_frame_payload = 100});
    Client client = Client::open(server.port());
    client.send_text("hello");
    client.send_frame(true, WS_OPCODE_PONG, "");
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 101));
    client.drain();
    server.events().wait(Kind::close);
    std::set<Kind> kinds;
    for (const Event &event : server.events().all()) {
        kinds.insert(event.kind);
        CHECK(event.thread != server.thread());
        CHECK(event.thread != std::this_thread::get_id());
    }
    CHECK(kinds.size() == 7);
}

TEST_CASE("a callback that blocks stops neither its connection nor others")
{
    Server server({.onmessage = [](Scene &scene, auto *client, auto *msg) {
        if (std::string(msg->payload) == "block")
            scene.gate.wait();
        echo(scene, client, msg);
    }});
    Client blocked = Client::open(server.port());
    blocked.send_text("block");
    server.events().wait(Kind::message);
    Client other = Client::open(server.port());
    other.send_text("pass");
    CHECK(other.receive_text() == "pass");
    blocked.send_frame(true, WS_OPCODE_PING, "are you there?");
    CHECK(blocked.receive_frame().opcode == WS_OPCODE_PONG);
    server.gate().open();
    CHECK(blocked.receive_text() == "block");
}

TEST_CASE("a hundred callbacks that wait for each other all run")
{
    Barrier barrier(100);
    std::atomic<int> passed = 0;
    Server server(
        {.onmessage = [&](Scene &, auto *, auto *) { passed += barrier.arrive_and_wait(); }});
    std::vector<Client> clients;
    for (int i = 0; i < 100; i++)
        clients.push_back(Client::open(server.port()));
    for (Client &client : clients)
        client.send_text("all together");
    CHECK(eventually([&] { return passed == 100; }));
}

TEST_CASE("one client's events run one at a time and in order, alongside those of others")
{
    constexpr int kClients = 8;
    constexpr int kMessages = 2000;
    struct Progress {
        std::atomic<bool> busy = false;
        int next = 0; // needs no lock if the promise under test holds
    };
    std::atomic<int> overlaps = 0;
    std::atomic<int> disorder = 0;
    Server server({.onopen = [](Scene &, auto *client) { client->data = new Progress; },
                   .onmessage =
                       [&](Scene &, auto *client, auto *msg) {
                           Progress &progress = *static_cast<Progress *>(client->data);
                           overlaps += progress.busy.exchange(true);
                           disorder += msg->payload != std::to_string(progress.next++);
                           progress.busy = false;
                       },
                   .onclose =
                       [&](Scene &, auto *client) {
                           auto *progress = static_cast<Progress *>(client->data);
                           overlaps += progress->busy;
                           disorder += progress->next != kMessages;
                           delete progress;
                       }});
    auto talk = [&server] {
        Client client = Client::open(server.port());
        for (int i = 0; i < kMessages; i++)
            client.send_text(std::to_string(i));
        client.send_close(WS_CLOSE_NORMAL);
        client.drain();
    };
    std::vector<std::future<void>> threads;
    for (int i = 0; i < kClients; i++)
        threads.push_back(std::async(std::launch::async, talk));
    for (std::future<void> &thread : threads)
        thread.get();
    server.events().wait(Kind::close, kClients);
    CHECK(server.events().count(Kind::message) == kClients * kMessages);
    CHECK(overlaps == 0);
    CHECK(disorder == 0);
}

TEST_CASE("with concurrent_events one client's messages overlap, onopen and onclose do not")
{
    Barrier barrier(4);
    std::atomic<int> running = 0;
    std::atomic<int> passed = 0;
    std::atomic<int> overlaps = 0;
    Server server({.settings = [](auto *context) { context->concurrent_events = 1; },
                   .onopen =
                       [&](Scene &, auto *) {
                           overlaps += running++ != 0;
                           running--;
                       },
                   .onmessage =
                       [&](Scene &, auto *, auto *) {
                           running++;
                           passed += barrier.arrive_and_wait();
                           running--;
                       },
                   .onclose = [&](Scene &, auto *) { overlaps += running != 0; }});
    Client client(server.port());
    std::string bytes = upgrade_request();
    for (int i = 0; i < 4; i++)
        bytes += encode_frame(true, WS_OPCODE_TEXT, "together");
    client.send_raw(bytes + encode_frame(true, WS_OPCODE_CLOSE, ""));
    CHECK(client.receive_http().status == 101);
    client.drain();
    server.events().wait(Kind::close);
    CHECK(passed == 4);
    CHECK(overlaps == 0);
    std::vector<Event> events = server.events().all();
    CHECK(events.front().kind == Kind::open);
    CHECK(events.back().kind == Kind::close);
}

TEST_CASE("concurrent_events bounds how many messages of one client run at a time")
{
    const struct {
        int setting;
        size_t at_once;
    } cases[] = {{1, 16}, {3, 3}, {40, 40}};
    for (const auto &one : cases) {
        const int setting = one.setting;
        const size_t at_once = one.at_once;
        CAPTURE(setting);
        std::atomic<size_t> running = 0, most = 0, passed = 0;
        Server server({.settings = [&](auto *context) { context->concurrent_events = setting; },
                       .onmessage =
                           [&](Scene &scene, auto *client, auto *msg) {
                               if (msg->opcode == WS_OPCODE_BINARY)
                                   return echo(scene, client, msg);
                               const size_t now = ++running;
                               for (size_t old = most;
                                    now > old && !most.compare_exchange_weak(old, now);) {
                               }
                               scene.gate.wait();
                               --running;
                               ++passed;
                           }});
        Client greedy = Client::open(server.port());
        std::string all;
        for (int i = 0; i < 200; i++)
            all += encode_frame(true, WS_OPCODE_TEXT, "one of many");
        greedy.send_raw(all);
        CHECK(eventually([&] { return running == at_once; }));
        Client other = Client::open(server.port());
        for (int i = 0; i < 100; i++) { // time for one more to start, if it could
            other.send_binary("is it my turn?");
            CHECK(other.receive_frame().payload == "is it my turn?");
        }
        CHECK(most == at_once);
        server.gate().open();
        CHECK(eventually([&] { return passed == 200; }));
        CHECK(most == at_once);
    }
}

TEST_CASE("frames of eight senders to one client are never interleaved")
{
    constexpr int kSenders = 8;
    constexpr int kMessages = 100;
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    auto send = [&](int sender) {
        int failed = 0;
        for (int i = 0; i < kMessages; i++) {
            // Short texts, and some that the socket takes in several pieces.
            std::string text(i % 10 == 0 ? 50000 : 20, static_cast<char>('a' + sender));
            text += std::to_string(i);
            failed += libwebsock_send_text(handle, text.c_str()) != 0;
        }
        return failed;
    };
    std::vector<std::future<int>> senders;
    for (int sender = 0; sender < kSenders; sender++)
        senders.push_back(std::async(std::launch::async, send, sender));
    std::vector<int> next(kSenders, 0);
    int wrong = 0;
    for (int i = 0; i < kSenders * kMessages; i++) {
        std::string text = client.receive_text();
        auto sender = static_cast<size_t>(text[0] - 'a');
        REQUIRE(sender < next.size());
        int number = next[sender]++;
        wrong +=
            text != std::string(number % 10 == 0 ? 50000 : 20, text[0]) + std::to_string(number);
    }
    CHECK(wrong == 0);
    for (std::future<int> &sender : senders)
        CHECK(sender.get() == 0);
}

TEST_CASE("fragmented messages of two senders and whole ones of a third do not mix")
{
    constexpr size_t kPiece = 20000; // large enough for senders to wait for each other
    Server server({.settings = [](auto *context) { context->max_queued_bytes = 64u << 20; },
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *handle = server.handle();
    std::atomic<int> failed = 0;
    std::mutex turn; // a fragment of the other sender in between would be EINVAL
    auto send = [&](char letter) {
        std::string piece(kPiece, letter);
        for (int i = 0; i < 50; i++) {
            std::lock_guard lock(turn);
            failed += libwebsock_send_fragment(handle, piece.data(), kPiece, WS_OPCODE_TEXT) != 0;
            failed +=
                libwebsock_send_fragment(handle, piece.data(), kPiece, WS_OPCODE_CONTINUE) != 0;
            failed += libwebsock_send_fragment(handle, piece.data(), kPiece, WS_FRAGMENT_FIN) != 0;
        }
    };
    auto whole = [&] {
        std::string message(3 * kPiece, 'c');
        for (int i = 0; i < 100; i++)
            failed += libwebsock_send_text(handle, message.c_str()) != 0;
    };
    auto a = std::async(std::launch::async, send, 'a');
    auto b = std::async(std::launch::async, send, 'b');
    auto c = std::async(std::launch::async, whole);
    int out_of_place = 0;
    int mixed = 0;
    for (int messages = 0; messages < 200; messages++) {
        std::string text;
        Frame frame;
        do {
            frame = client.receive_frame();
            out_of_place += (frame.opcode == WS_OPCODE_CONTINUE) == text.empty();
            text += frame.payload;
        } while (!frame.fin);
        mixed += text != std::string(3 * kPiece, text[0]);
    }
    CHECK(failed == 0);
    CHECK(out_of_place == 0);
    CHECK(mixed == 0);
}

TEST_CASE("max_workers bounds the threads that run callbacks, and every message still runs")
{
    Barrier pair(2);
    std::atomic<size_t> running = 0;
    std::atomic<size_t> most = 0;
    std::atomic<int> started = 0;
    std::atomic<int> handled = 0;
    Server server({.settings = [](auto *context) { context->max_workers = 2; },
                   .onmessage =
                       [&](Scene &, auto *, auto *) {
                           size_t now = ++running;
                           for (size_t old = most; now > old;)
                               most.compare_exchange_weak(old, now);
                           if (started++ < 2)
                               pair.arrive_and_wait(); // at least two run at once
                           handled++;
                           running--;
                       }});
    std::vector<Client> clients;
    for (int i = 0; i < 20; i++)
        clients.push_back(Client::open(server.port()));
    for (Client &client : clients)
        client.send_text("one of many");
    CHECK(eventually([&] { return handled == 20; }));
    CHECK(most == 2);
    CHECK(server.stats().workers <= 2);
}

TEST_CASE("callbacks can be set for one client")
{
    static const auto shout = [](libwebsock_client_state *client, libwebsock_message *) {
        return libwebsock_send_text(client, "MINE");
    };
    Server server({.onopen =
                       [](Scene &, auto *client) {
                           if (libwebsock_client_request(client)->path == std::string("/mine"))
                               client->onmessage = shout;
                           if (libwebsock_client_request(client)->path == std::string("/none"))
                               client->onmessage = nullptr;
                       },
                   .onmessage = echo});
    Client mine = Client::open(server.port(), "/mine");
    Client none = Client::open(server.port(), "/none");
    Client common = Client::open(server.port(), "/");
    for (Client *client : {&mine, &none, &common})
        client->send_text("hello");
    CHECK(mine.receive_text() == "MINE");
    CHECK(common.receive_text() == "hello");
    none.send_close(WS_CLOSE_NORMAL);
    CHECK(none.receive_close().code == WS_CLOSE_NORMAL);
}

TEST_CASE("a control callback set in a callback sees every control frame after that message")
{
    static std::atomic<int> pings, pongs;
    pings = pongs = 0;
    const auto count_ping = [](libwebsock_client_state *, libwebsock_frame *frame) {
        pings += frame->opcode == WS_OPCODE_PING;
        return 0;
    };
    const auto count_pong = [](libwebsock_client_state *) { return ++pongs, 0; };
    Server server({.settings =
                       [](auto *context) {
                           context->control_callback = nullptr;
                           context->onpong = nullptr;
                       },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *msg) {
                           if (msg->payload == std::string("wait"))
                               scene.gate.wait();
                           client->control_callback = count_ping;
                           client->onpong = count_pong;
                           echo(scene, client, msg);
                       }});
    const std::string ping = encode_frame(true, WS_OPCODE_PING, "");
    const std::string pong = encode_frame(true, WS_OPCODE_PONG, "");
    Client client = Client::open(server.port());
    client.send_raw(ping + pong);
    CHECK(client.receive_frame().opcode == WS_OPCODE_PONG); // so the server has handled both
    client.send_raw(encode_frame(true, WS_OPCODE_TEXT, "wait") + ping + pong);
    CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
    server.gate().open();
    CHECK(client.receive_text() == "wait");
    client.send_raw(ping + pong + encode_frame(true, WS_OPCODE_TEXT, "go"));
    CHECK(client.receive_frame().opcode == WS_OPCODE_PONG);
    CHECK(client.receive_past_pings().payload == "go");
    CHECK(pings == 2);
    CHECK(pongs == 2);
}
