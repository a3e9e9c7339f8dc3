// idle.cpp: opens connections, has each make one echo, says "open N" and keeps them,
// silent, until its standard input ends. Whoever started it measures the memory.
#include "exchange.h"

#include <cstdio>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

void echo_once(int fd, const Exchange &exchange)
{
    const std::string_view request = exchange.request(0);
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
        give_up("cannot send");
    Cursor cursor;
    while (cursor.message == 0) {
        char bytes[4096];
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0 || !cursor.received(exchange, {bytes, static_cast<size_t>(n)}))
            give_up("no echo");
    }
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv);
    if (settings.payload > 4096)
        bench::give_up("idle is for payloads up to 4096 bytes");
    const bench::Exchange exchange(settings);
    for (size_t i = 0; i < settings.connections; ++i)
        bench::echo_once(bench::connect_and_open(settings), exchange);
    std::printf("open %zu\n", settings.connections);
    std::fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
