// echo.cpp: demo/echo.c in C++: every message goes back to where it came from.
//
//     echo [port]        default 1234, 0 for any free one
#include <websock/websock.hpp>

#include <cstdio>
#include <exception>

int main(int argc, char **argv)
try {
    (void)std::setvbuf(stdout, nullptr, _IOLBF, 0);
    websock::Server server;
    server.on_open(
        [](const websock::Client &client) { std::printf("%s: open\n", client.peer().data()); });
    server.on_message(
        [](const websock::Client &client, std::string_view text) { client.send(text); });
    server.on_binary(
        [](const websock::Client &client, websock::Bytes bytes) { client.send_binary(bytes); });
    server.on_close([](const websock::Client &client, const websock::CloseInfo &info) {
        std::printf("%s: closed, %d\n", client.peer().data(), info.code());
    });
    server.listen("127.0.0.1", argc > 1 ? argv[1] : "1234");
    std::printf("echo: ws://127.0.0.1:%d/\n", server.port());
    server.run(); // until SIGINT or SIGTERM
} catch (const std::exception &error) {
    std::fprintf(stderr, "echo: %s\n", error.what());
    return 1;
}
