// standard_streams.cpp: see standard_streams.h.
#include "base/standard_streams.h"

#include "base/clock.h"
#include "base/fd.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace websock {

namespace {

constexpr int kPatienceMs = 10; // for a reader that is only busy

// Atomic, and without a lock: a program may fork while another thread prints.
struct Stream {
    std::atomic<size_t> lost{0};    // lines, since the last report
    std::atomic<bool> cut{false};   // the end of the last line is missing
    std::atomic<bool> stuck{false}; // the last line was not taken whole
};
std::array<Stream, 2> streams;

// Keeps a write to a pipe without a reader from raising SIGPIPE in this thread. A SIGPIPE of the
// program's own stays as it was.
class NoSigpipe
{
  public:
    NoSigpipe()
    {
        sigset_t pending;
        sigemptyset(&pending);
        sigemptyset(&sigpipe_);
        sigaddset(&sigpipe_, SIGPIPE);
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }
    ~NoSigpipe()
    {
        const timespec no_time{};
        if (raised_ && !was_pending_) {
            while (sigtimedwait(&sigpipe_, nullptr, &no_time) < 0 && errno == EINTR) {
            }
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoSigpipe(const NoSigpipe &) = delete;
    NoSigpipe &operator=(const NoSigpipe &) = delete;

    void raised() { raised_ = true; }

  private:
    sigset_t sigpipe_;
    sigset_t before_;
    bool was_pending_ = false;
    bool raised_ = false;
};

// Whether a write may have to wait for a reader.
bool has_reader(int fd)
{
    struct stat status {
    };
    if (fstat(fd, &status) != 0)
        return false;
    return S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd) == 1);
}

// Opens the same pipe or terminal again, with O_NONBLOCK. Set on fd itself, that would hold for
// every program that has it.
UniqueFd open_again(int fd)
{
    char path[32];
    (void)std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return above_stdio(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

// As write(2) would be if fd did not block.
ssize_t write_now(int fd, std::string_view bytes)
{
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent;
    if (!has_reader(fd))
        return write(fd, bytes.data(), bytes.size());
    if (const UniqueFd again = open_again(fd); again)
        return write(again.get(), bytes.data(), bytes.size());
    if (errno == ENXIO) { // a pipe that nobody reads
        errno = EPIPE;
        return -1;
    }
    // There is no /proc, no free descriptor, or it is another user's. A pipe that is ready takes
    // PIPE_BUF bytes, unless another writer is faster.
    if (wait_writable(fd, Clock::now()) != 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd, bytes.data(), bytes.size());
}

// Returns how much of the text was taken before the deadline.
size_t write_until(int fd, std::string_view text, TimePoint deadline)
{
    NoSigpipe guard;
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = write_now(fd, text.substr(done, PIPE_BUF));
        if (n >= 0) {
            done += static_cast<size_t>(n);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EPIPE)
            guard.raised();
        if (errno != EAGAIN || wait_writable(fd, deadline) != 0 || Clock::now() >= deadline)
            break;
    }
    return done;
}

// Says how many lines are missing here. False: that was not taken either.
bool report_lost(int fd, Stream &stream, TimePoint deadline)
{
    const size_t lost = stream.lost.exchange(0);
    if (lost == 0)
        return true;
    char text[64];
    const bool cut = stream.cut.exchange(false);
    (void)std::snprintf(text, sizeof text, "%slibwebsock: warning: %zu %s lost\n", cut ? "\n" : "",
                        lost, lost == 1 ? "line was" : "lines were");
    const std::string_view notice(text);
    const size_t done = write_until(fd, notice, deadline);
    if (done == notice.size())
        return true;
    stream.cut = done == 0 ? cut : !(cut && done == 1); // that byte was the newline
    stream.lost += lost;
    return false;
}

} // namespace

void print_text(int fd, std::string_view text)
{
    const int saved_errno = errno;
    Stream &stream = streams[fd == STDERR_FILENO ? 1 : 0];
    const TimePoint deadline = stream.stuck ? Clock::now() : in_ms(kPatienceMs);
    const bool reported = report_lost(fd, stream, deadline);
    const size_t done = reported ? write_until(fd, text, deadline) : 0;
    stream.stuck = done < text.size();
    if (done < text.size()) {
        if (done > 0)
            stream.cut = true; // before it is counted: a report in another thread ends the line
        ++stream.lost;
    }
    errno = saved_errno;
}

void print_line(int fd, const char *format, ...)
{
    char text[PIPE_BUF];
    va_list arguments;
    va_start(arguments, format);
    const int wanted = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t len = std::min(static_cast<size_t>(std::max(wanted, 0)), sizeof text - 1);
    text[len++] = '\n';
    print_text(fd, {text, len});
}

} // namespace websock
