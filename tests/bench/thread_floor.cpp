// thread_floor.cpp: what is compared with: a naive blocking thread per connection on bare
// TCP that reads what comes and writes it back. It knows no protocol; but since a server's
// frames are four bytes shorter than a client's, it is told both sizes, and leaves those
// four out, so that just as many bytes go either way as with WebSocket.
//   thread_floor REQUEST_BYTES ANSWER_BYTES [MILLISECONDS to block before each answer]
// Prints "port N" and serves until it is killed.
#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

size_t request_bytes = 0;
size_t answer_bytes = 0;
std::chrono::milliseconds blocks{0};

// Removes the end of each request from what was read; position is within a request.
size_t keep_answers(char *bytes, size_t n, size_t &position, size_t &ended)
{
    size_t kept = 0;
    for (size_t done = 0; done < n;) {
        const bool answer = position < answer_bytes;
        const size_t run = std::min(n - done, (answer ? answer_bytes : request_bytes) - position);
        if (answer) {
            std::memmove(bytes + kept, bytes + done, run);
            kept += run;
        }
        done += run;
        position += run;
        if (position == request_bytes) {
            position = 0;
            ++ended;
        }
    }
    return kept;
}

bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t written = send(fd, bytes, n, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        bytes += written;
        n -= static_cast<size_t>(written);
    }
    return true;
}

void serve(int fd)
{
    char bytes[64 * 1024]; // untouched as far as nothing is read into it
    size_t position = 0;
    for (;;) {
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        size_t ended = 0;
        const size_t kept = keep_answers(bytes, static_cast<size_t>(n), position, ended);
        if (blocks.count() > 0 && ended > 0)
            std::this_thread::sleep_for(blocks * ended);
        if (!write_all(fd, bytes, kept))
            break;
    }
    close(fd);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    request_bytes = std::strtoul(argv[1], nullptr, 10);
    answer_bytes = std::strtoul(argv[2], nullptr, 10);
    blocks = std::chrono::milliseconds(argc > 3 ? std::atoi(argv[3]) : 0);
    if (answer_bytes == 0 || answer_bytes > request_bytes)
        return 2;

    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    if (bind(listener, generic, length) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, generic, &length) != 0) {
        std::perror("listen");
        return 1;
    }
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    for (;;) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        std::thread(serve, fd).detach();
    }
}
