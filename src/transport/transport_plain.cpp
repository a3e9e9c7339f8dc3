// transport_plain.cpp: the Transport that is a bare socket: no encryption, no buffers.
#include "transport/socket.h"
#include "transport/transport.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/time.h>

namespace websock {

namespace {

class PlainTransport final : public Transport
{
  public:
    explicit PlainTransport(UniqueFd &&fd) : fd_(std::move(fd)) {}

    Opening open(TimePoint, const std::function<void()> &) override { return {}; }

    Received read(std::span<uint8_t> into, int timeout_ms) override
    {
        // As a time-out of the socket, 0 would mean none; and any is a tick of the system late.
        const int flags = timeout_ms == 0 ? MSG_DONTWAIT : 0;
        if (timeout_ms != 0)
            set_receive_timeout(timeout_ms);
        for (;;) {
            const ssize_t n = recv(fd_.get(), into.data(), into.size(), flags);
            if (n > 0)
                return {.result = Received::bytes, .len = static_cast<size_t>(n)};
            if (n == 0)
                return {.result = Received::end};
            if (errno == EAGAIN)
                return {.result = Received::timed_out};
            if (errno == EINTR)
                continue;
            read_error_ = errno;
            return {.result = Received::lost};
        }
    }

    std::string why() const override { return std::strerror(read_error_); }

    ssize_t write_some(const iovec *parts, int count) override
    {
        for (;;) {
            const ssize_t n = send_parts(parts, count);
            if (n >= 0) {
                // One thread at a time changes it: no read-modify-write is needed.
                written_.store(written_.load(std::memory_order_relaxed) + static_cast<uint64_t>(n),
                               std::memory_order_relaxed);
                return n;
            }
            if (errno != EINTR)
                return -1;
        }
    }

    bool unsent() const override { return false; }
    bool needs_input() const override { return false; }

    int wait_writable(TimePoint deadline) override
    {
        return websock::wait_writable(fd_.get(), deadline);
    }

    void end_writing(TimePoint) override { (void)shutdown(fd_.get(), SHUT_WR); }

    Outgoing outgoing() const override
    {
        const auto written = static_cast<int64_t>(written_.load(std::memory_order_relaxed));
        const int64_t taken = written - static_cast<int64_t>(unacknowledged(fd_.get()));
        return {.written = written, .taken = taken, .window = peer_window(fd_.get())};
    }

    void shut() override { (void)shutdown(fd_.get(), SHUT_RDWR); }
    void abort() override
    {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        shut();
    }
    int fd() const override { return fd_.get(); }
    UniqueFd give_back() override { return std::move(fd_); }

  private:
    // Not writev(2): that raises SIGPIPE.
    ssize_t send_parts(const iovec *parts, int count)
    {
        const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
        if (count == 1) // the kernel has less to copy and to check
            return send(fd_.get(), parts->iov_base, parts->iov_len, flags);
        msghdr message{};
        message.msg_iov = const_cast<iovec *>(parts); // sendmsg does not write to them
        message.msg_iovlen = static_cast<size_t>(count);
        return sendmsg(fd_.get(), &message, flags);
    }

    // With SO_RCVTIMEO, waiting for bytes and taking them is one system call. It is set only when
    // it changes, which is rare once a connection is open.
    void set_receive_timeout(int timeout_ms)
    {
        if (timeout_ms == timeout_ms_)
            return;
        timeout_ms_ = timeout_ms;
        const int ms = timeout_ms < 0 ? 0 : timeout_ms > 0 ? timeout_ms : 1; // 0 means "never"
        const timeval timeout{.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
        (void)setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    }

    UniqueFd fd_;
    std::atomic<uint64_t> written_{0}; // changed by whichever thread writes, read by any
    // The reading thread's:
    int timeout_ms_ = -1;
    int read_error_ = 0;
};

} // namespace

std::unique_ptr<Transport> make_plain_transport(UniqueFd &fd)
{
    return std::make_unique<PlainTransport>(std::move(fd));
}

} // namespace websock
