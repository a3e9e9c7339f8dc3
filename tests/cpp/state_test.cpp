// state_test.cpp: what a program knows about a client: its state, its limits, and how it has ended.
#include "running.h"

#include <doctest/doctest.h>

#include <memory>
#include <poll.h>
#include <typeinfo>

using namespace test;

namespace {

struct Member {
    std::string name;
    int messages = 0;
};

} // namespace

TEST_CASE("a client's state is made in on_request and there in later callbacks")
{
    websock::Server server;
    server.on_request([](const websock::Client &client, const websock::Request &request) {
        client.emplace<Member>(std::string(request.path()));
    });
    server.on_message([](const websock::Client &client, std::string_view) {
        Member &member = client.state<Member>();
        client.send(member.name + " " + std::to_string(++member.messages));
    });
    Running running(server);
    Client ada = running.connect("/ada");
    Client bob = running.connect("/bob");
    ada.send_text("x");
    CHECK(ada.receive_text() == "/ada 1");
    ada.send_text("x");
    CHECK(ada.receive_text() == "/ada 2");
    bob.send_text("x");
    CHECK(bob.receive_text() == "/bob 1");
}

TEST_CASE("a state of another type, or none, is std::bad_cast, or null")
{
    websock::Server server;
    Told<std::vector<bool>> told;
    server.on_open([&](const websock::Client &client) {
        std::vector<bool> results{client.find_state<int>() == nullptr};
        client.emplace<int>(7);
        results.push_back(client.state<int>() == 7);
        results.push_back(client.find_state<long>() == nullptr);
        bool caught = false;
        try {
            (void)client.state<Member>();
        } catch (const std::bad_cast &) {
            caught = true;
        }
        results.push_back(caught);
        told.tell(results);
    });
    Running running(server);
    Client client = running.connect();
    CHECK(told.get() == std::vector<bool>{true, true, true, true});
    CHECK(websock::Client().find_state<int>() == nullptr);
}

TEST_CASE("a state is freed when it is replaced, and with the last handle")
{
    const auto first = std::make_shared<int>(1);
    const auto second = std::make_shared<int>(2);
    websock::Client kept;
    {
        websock::Server server;
        Told<websock::Client> opened;
        server.on_open([&](const websock::Client &client) {
            client.emplace<std::shared_ptr<int>>(first);
            client.emplace<std::shared_ptr<int>>(second);
            opened.tell(client);
        });
        Running running(server);
        Client client = running.connect();
        kept = opened.get();
    }
    CHECK(first.use_count() == 1);
    CHECK(second.use_count() == 2);
    CHECK(*kept.state<std::shared_ptr<int>>() == 2);
    kept = {};
    CHECK(second.use_count() == 1);
}

TEST_CASE("a client may have limits of its own")
{
    websock::Server server;
    server.on_request([](const websock::Client &client, const websock::Request &request) {
        if (request.path() == "/small")
            client.set_limit(websock::Limit::message_payload, 10);
    });
    server.on_message([](const websock::Client &client, std::string_view text) {
        client.send(client.try_set_limit(websock::Limit::idle_ms, 1) ? text : "late");
    });
    Running running(server);
    Client small = running.connect("/small");
    small.send_text("12345678901");
    CHECK(small.receive_close().code == WS_CLOSE_MESSAGE_TOO_BIG);
    Client large = running.connect("/large");
    large.send_text("12345678901");
    CHECK(large.receive_text() == "12345678901");
}

TEST_CASE("a close says who ended the connection, and with what")
{
    websock::Server server;
    Told<std::vector<int>> told;
    Told<std::string> reason;
    server.on_message(
        [](const websock::Client &client, std::string_view) { client.close(4001, "enough"); });
    server.on_close([&](const websock::Client &, const websock::CloseInfo &info) {
        told.tell({static_cast<int>(info.ended_by()), info.sent_code(), info.code()});
        reason.tell(std::string(info.sent_reason()));
    });
    Running running(server);
    Client client = running.connect();
    client.send_text("x");
    CHECK(client.receive_close().code == 4001);
    client.send_close(4002);
    CHECK(told.get() == std::vector<int>{static_cast<int>(websock::EndedBy::program), 4001, 4002});
    CHECK(reason.get() == "enough");
}

TEST_CASE("a connection that is cut off ends without a Close frame, and says why")
{
    websock::Server server;
    Told<websock::Client> opened;
    Told<std::string> why;
    server.on_open([&](const websock::Client &client) { opened.tell(client); });
    server.on_close([&](const websock::Client &, const websock::CloseInfo &info) {
        why.tell(std::string(info.reason()));
    });
    Running running(server);
    Client client = running.connect();
    const websock::Client kept = opened.get();
    CHECK(kept.is_open());
    const int fd = kept.gone_fd();
    kept.abort("banned");
    CHECK(why.get() == "banned");
    pollfd gone{fd, POLLIN, 0};
    CHECK(::poll(&gone, 1, 20'000) == 1);
    CHECK_FALSE(kept.is_open());
    CHECK(thrown_by([&] { kept.abort("again"); }) == ENOTCONN);
    CHECK_FALSE(websock::Client().is_open());
}
