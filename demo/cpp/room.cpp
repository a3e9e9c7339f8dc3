// room.cpp: a chat: each path is a room, and a topic, with the last 50 messages for who comes in.
// The name is a member's first message; it is kept as the client's state.
//
//     room [port]        default 1234, 0 for any free one
#include <websock/websock.hpp>

#include <cstdio>
#include <exception>
#include <string>

namespace {

struct Member {
    std::string name; // "": it has not said
    std::string room;
};

} // namespace

int main(int argc, char **argv)
try {
    websock::Server server({.max_message_payload = 4096});
    server.configure_topics("/", {.history_messages = 50});
    server.on_open([](const websock::Client &client) {
        client.emplace<Member>("", std::string(client.request().path()));
        client.send("What is your name?");
    });
    server.on_message([&](const websock::Client &client, std::string_view text) {
        Member &member = client.state<Member>();
        if (member.name.empty()) {
            member.name = text.empty() ? "nobody" : text;
            client.subscribe(member.room, {.history = 50});
            text = "is here";
        }
        server.publish(member.room, member.name + ": " + std::string(text));
    });
    server.on_close([&](const websock::Client &client, const websock::CloseInfo &) {
        const Member &member = client.state<Member>();
        if (!member.name.empty())
            (void)server.try_publish(member.room, member.name + ": has left");
    });
    server.listen("127.0.0.1", argc > 1 ? argv[1] : "1234");
    std::printf("room: ws://127.0.0.1:%d/\n", server.port());
    (void)std::fflush(stdout);
    server.run();
} catch (const std::exception &error) {
    std::fprintf(stderr, "room: %s\n", error.what());
    return 1;
}
