// half_key_update.cpp: attackers that only TLS makes possible: half_key_update PORT COUNT.
// Each sends a Ping and half a KeyUpdate in one segment, and nothing more. OpenSSL writes
// nothing until it has the other half. Otherwise it works like besiege.cpp; the server's only
// cipher must be TLS_AES_128_GCM_SHA256.
#include "tests/support/tls_forger.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr char kApplicationData = 23;                         // RFC 8446 B.1
constexpr std::string_view kPing("\x89\x80\0\0\0\0", 6);      // RFC 6455 5.5.2
constexpr std::string_view kHalfKeyUpdate("\x18\0\0\x01", 4); // RFC 8446 4.6.3
constexpr uint64_t kUpgradeRequest = 1;                       // in records

bool line_comes()
{
    char line[16];
    return read(STDIN_FILENO, line, sizeof line) > 0;
}

void hold_back(test::Client &client, int on)
{
    (void)setsockopt(client.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void attack(test::Client &client)
{
    test::TlsForger forger(client, kUpgradeRequest);
    hold_back(client, 1);
    forger.send(kApplicationData, kPing);
    forger.send(test::kHandshakeContent, kHalfKeyUpdate);
    hold_back(client, 0);
}

void run(int port, size_t count)
{
    test::Client::Options options{.transport = test::Transport::tls};
    options.tls.verify = false;
    std::vector<test::Client> clients;
    clients.reserve(count);
    while (clients.size() < count) {
        clients.emplace_back(port, options);
        clients.back().handshake("/sink");
    }
    std::puts("ready");
    std::fflush(stdout);
    if (line_comes())
        for (test::Client &client : clients)
            attack(client);
    (void)line_comes();
    std::printf("{\"connected\": %zu, \"opened\": %zu, \"ended\": 0, \"sent_bytes\": %zu}\n", count,
                count, 54 * count);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    try {
        run(std::atoi(argv[1]), std::strtoul(argv[2], nullptr, 10));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "half_key_update: %s\n", error.what());
        return 1;
    }
    return 0;
}
