// stream.cpp: the default transport, and the stream of a bare socket; see stream.h.
#include "stream.h"
#include "wire.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>

namespace test {

namespace {

Transport transport_of_environment()
{
    const char *value = std::getenv("TEST_TRANSPORT");
    std::string name = value == nullptr ? "" : value;
    if (name.empty() || name == "plain")
        return Transport::plain;
    if (name == "tls")
        return Transport::tls;
    fail("TEST_TRANSPORT is \"" + name + "\", not plain or tls");
}

class PlainStream final : public Stream
{
  public:
    explicit PlainStream(int fd) : fd_(fd) {}

    ssize_t read_now(char *buffer, size_t len) override
    {
        for (;;) {
            ssize_t n = ::recv(fd_, buffer, len, 0);
            if (n >= 0)
                return n;
            if (errno == EAGAIN)
                return -1;
            if (errno == ECONNRESET || errno == EPIPE) {
                end_ = End::reset;
                return 0;
            }
            if (errno != EINTR)
                fail(std::string("recv: ") + std::strerror(errno));
        }
    }

    ssize_t write_now(std::string_view bytes) override
    {
        for (;;) {
            ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n >= 0)
                return n;
            if (errno == EAGAIN)
                return -1;
            if (errno != EINTR)
                fail(std::string("send: ") + std::strerror(errno));
        }
    }

    bool flush_now() override { return true; }

    void end_writing() override { (void)::shutdown(fd_, SHUT_WR); }

  private:
    int fd_;
};

} // namespace

Transport default_transport()
{
    static const Transport transport = transport_of_environment();
    return transport;
}

std::unique_ptr<Stream> make_plain_stream(int fd) { return std::make_unique<PlainStream>(fd); }

} // namespace test
