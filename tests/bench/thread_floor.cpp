// thread_floor.cpp: the baseline: a simple blocking thread per connection on bare TCP that
// reads and writes back. raw_echo.h decides what is echoed and parses the command line.
#include "raw_echo.h"

#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

bench::RawEcho echo;

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
    char bytes[bench::kReadBytes]; // pages that nothing is read into stay untouched
    bench::RawRequests requests(echo);
    for (;;) {
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        if (!write_all(fd, bytes, requests.answer(bytes, static_cast<size_t>(n))))
            break;
    }
    close(fd);
}

} // namespace

int main(int argc, char **argv)
{
    echo = bench::parse_raw_echo(argc, argv);
    const int listener = bench::listen_and_say_port();
    for (;;) {
        const int fd = bench::accept_one(listener, 0);
        if (fd >= 0)
            std::thread(serve, fd).detach();
    }
}
