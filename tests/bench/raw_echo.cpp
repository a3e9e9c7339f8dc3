// raw_echo.cpp: see raw_echo.h.
#include "raw_echo.h"

#include "work.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>

namespace bench {

RawEcho parse_raw_echo(int argc, char **argv)
{
    RawEcho echo{};
    if (argc >= 3) {
        echo.request_bytes = std::strtoul(argv[1], nullptr, 10);
        echo.answer_bytes = std::strtoul(argv[2], nullptr, 10);
        echo.blocks = std::chrono::milliseconds(argc > 3 ? std::atoi(argv[3]) : 0);
    }
    if (echo.answer_bytes == 0 || echo.answer_bytes > echo.request_bytes) {
        std::fprintf(stderr, "usage: %s REQUEST_BYTES ANSWER_BYTES [MILLISECONDS]\n", argv[0]);
        std::exit(2);
    }
    return echo;
}

size_t RawRequests::answer(char *bytes, size_t n)
{
    size_t ended = 0;
    const size_t kept = keep_answers(bytes, n, ended);
    if (echo_.blocks.count() > 0 && ended > 0)
        std::this_thread::sleep_for(echo_.blocks * ended);
    return kept;
}

size_t RawRequests::keep_answers(char *bytes, size_t n, size_t &ended)
{
    size_t kept = 0;
    for (size_t done = 0; done < n;) {
        const bool goes_back = position_ < echo_.answer_bytes;
        const size_t end = goes_back ? echo_.answer_bytes : echo_.request_bytes;
        const size_t run = std::min(n - done, end - position_);
        if (goes_back) {
            std::memmove(bytes + kept, bytes + done, run);
            kept += run;
        }
        done += run;
        position_ += run;
        if (position_ == echo_.request_bytes) {
            position_ = 0;
            ++ended;
        }
    }
    return kept;
}

int listen_and_say_port()
{
    raise_file_limit();
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    if (bind(listener, generic, length) != 0 || listen(listener, LISTEN_BACKLOG) != 0 ||
        getsockname(listener, generic, &length) != 0) {
        std::perror("listen");
        std::exit(1);
    }
    say_port(ntohs(address.sin_port));
    return listener;
}

int accept_one(int listener, int flags)
{
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | flags);
    if (fd < 0)
        return -1;
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

} // namespace bench
