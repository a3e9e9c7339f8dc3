// idle.cpp: opens connections, makes one echo on each, prints "open N" and keeps them, silent,
// until its standard input ends. Whoever started it measures the memory. What a client needs
// for TLS does not belong to that, so it is freed before anybody measures.
#include "exchange.h"

#include <cstdio>
#include <optional>
#include <unistd.h>
#include <vector>

namespace bench {
namespace {

void echo_once(Stream &stream, const Exchange &exchange)
{
    if (!stream.send_all(exchange.request(0)))
        give_up("cannot send");
    Cursor cursor;
    while (cursor.message == 0) {
        char bytes[4096];
        const ssize_t n = stream.receive(bytes);
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
    bench::allow_files(settings.connections);
    const bench::Exchange exchange(settings);
    std::optional<bench::TlsClient> tls;
    if (settings.tls)
        tls.emplace(settings);
    std::vector<bench::Stream> streams;
    for (size_t i = 0; i < settings.connections; ++i) {
        streams.push_back(bench::connect_and_open(settings, tls ? &*tls : nullptr, i));
        bench::echo_once(streams.back(), exchange);
        streams.back().leave();
    }
    std::printf("open %zu\n", settings.connections);
    std::fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
