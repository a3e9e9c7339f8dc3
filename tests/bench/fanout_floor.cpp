// fanout_floor.cpp: what fan-out is compared with: one thread with epoll that encodes a message
// once and gives it to each client by one send. It knows just enough of WebSocket for the
// benchmark's own client: the 101 is a constant, a request has as many bytes as the command line
// says (raw_echo.h's), and nothing is checked.
#include "raw_echo.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

struct Client {
    int fd;
    size_t place; // in clients; kNone before the handshake
    std::string received;
};

constexpr size_t kNone = SIZE_MAX;
constexpr size_t kMaskBytes = 4;

// Its answer to exchange.cpp's key, which is RFC 6455 1.3's.
constexpr std::string_view kAccepted = "HTTP/1.1 101 Switching Protocols\r\n"
                                       "Upgrade: websocket\r\n"
                                       "Connection: Upgrade\r\n"
                                       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

bench::RawEcho sizes;
std::vector<Client *> clients; // those that have had the 101
char bytes[bench::kReadBytes];

void watch(int epoll, int fd, Client *client)
{
    epoll_event event{.events = EPOLLIN, .data = {.ptr = client}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        std::perror("epoll_ctl");
        std::exit(1);
    }
}

void answer_handshake(Client &client)
{
    if (!client.received.ends_with("\r\n\r\n"))
        return;
    client.received.clear();
    client.place = clients.size();
    clients.push_back(&client);
    (void)send(client.fd, kAccepted.data(), kAccepted.size(), MSG_NOSIGNAL);
}

// RFC 6455 5.2: the header without the mask bit, and the payload unmasked.
std::string encoded(const char *request)
{
    const int length = request[1] & 0x7f;
    const size_t header_bytes = length < 126 ? 2 : length == 126 ? 4 : 10;
    std::string frame(request, header_bytes);
    frame[1] = static_cast<char>(frame[1] & 0x7f);
    const char *const mask = request + header_bytes;
    const char *const payload = mask + kMaskBytes;
    for (size_t i = 0; i < sizes.request_bytes - header_bytes - kMaskBytes; ++i)
        frame += static_cast<char>(payload[i] ^ mask[i % kMaskBytes]);
    return frame;
}

void fan_out(Client &client)
{
    size_t done = 0;
    for (; client.received.size() - done >= sizes.request_bytes; done += sizes.request_bytes) {
        const std::string frame = encoded(client.received.data() + done);
        for (const Client *to : clients)
            (void)send(to->fd, frame.data(), frame.size(), MSG_NOSIGNAL);
    }
    client.received.erase(0, done);
}

void leave(Client *client)
{
    if (client->place != kNone) {
        clients.back()->place = client->place;
        clients[client->place] = clients.back();
        clients.pop_back();
    }
    close(client->fd);
    delete client;
}

void serve(Client *client)
{
    const ssize_t n = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        return leave(client);
    client->received.append(bytes, static_cast<size_t>(n));
    if (client->place == kNone)
        answer_handshake(*client);
    else
        fan_out(*client);
}

} // namespace

int main(int argc, char **argv)
{
    sizes = bench::parse_raw_echo(argc, argv);
    const int listener = bench::listen_and_say_port();
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener, nullptr);
    for (;;) {
        epoll_event events[256];
        const int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.ptr) {
                serve(static_cast<Client *>(events[i].data.ptr));
                continue;
            }
            const int fd = bench::accept_one(listener, 0);
            if (fd >= 0)
                watch(epoll, fd, new Client{.fd = fd, .place = kNone, .received = {}});
        }
    }
}
