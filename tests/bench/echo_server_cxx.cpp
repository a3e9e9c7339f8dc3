// echo_server_cxx.cpp: libwebsock as echo_server.c has it, by way of websock.hpp: what that costs.
// echo_server_cxx WORK, with WORK as in work.h, but echo and session alone. Prints "port N" and
// serves until SIGTERM.
#include "work.h"

#include <websock/websock.hpp>

int main(int argc, char **argv)
{
    const bench_work work = parse_work(argc, argv);
    websock::Server server;
    raise_file_limit();
    server.no_log();
    server.on_message(
        [](const websock::Client &client, std::string_view text) { (void)client.try_send(text); });
    server.on_binary([](const websock::Client &client, websock::Bytes bytes) {
        (void)client.try_send_binary(bytes);
    });
    if (work.session)
        server.on_session([](const websock::Session &session) {
            for (const auto &message : session)
                (void)session.try_send(message);
        });
    server.listen("127.0.0.1", 0);
    say_port(server.port());
    server.run();
}
