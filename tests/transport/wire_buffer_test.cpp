// wire_buffer_test.cpp: how much memory a TLS connection has for ciphertext, and when.
#include "transport/wire_buffer.h"

#include <doctest/doctest.h>

#include <string>
#include <sys/socket.h>

using namespace websock;
using Result = Transport::Received::Result;

namespace {

constexpr int kFarMs = 30'000; // never over in a test that passes

// A plain transport, and the peer that it reads from.
class Line
{
  public:
    Line()
    {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        UniqueFd socket(fds[0]);
        peer_ = UniqueFd(fds[1]);
        transport_ = make_plain_transport(socket);
    }

    Transport &transport() { return *transport_; }
    void send(const std::string &bytes)
    {
        REQUIRE(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void close() { peer_.reset(); }

  private:
    UniqueFd peer_;
    std::unique_ptr<Transport> transport_;
};

std::string text_in(const WireBuffer &wire) { return {wire.bytes().begin(), wire.bytes().end()}; }

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a wire buffer grows when a read fills it, and shrinks when none comes in time")
{
    Line line;
    WireBuffer wire;
    CHECK(wire.capacity() == 0); // nobody has read yet
    const std::string much(WireBuffer::kSmall + 100, 'x');
    line.send(much);
    CHECK(wire.fill(line.transport(), kFarMs).len == WireBuffer::kSmall);
    CHECK(wire.capacity() == WireBuffer::kSmall);
    CHECK(text_in(wire) == much.substr(0, WireBuffer::kSmall));
    CHECK(wire.fill(line.transport(), kFarMs).len == 100);
    CHECK(wire.capacity() == WireBuffer::kLarge);
    CHECK(wire.fill(line.transport(), 1).result == Result::timed_out);
    CHECK(wire.bytes().empty());
    line.send("little");
    CHECK(wire.fill(line.transport(), kFarMs).result == Result::bytes);
    CHECK(wire.capacity() == WireBuffer::kSmall);
    CHECK(text_in(wire) == "little");
}

TEST_CASE("a wire buffer stays small for a peer that sends less than it holds")
{
    Line line;
    WireBuffer wire;
    for (int i = 0; i < 10; ++i) {
        line.send(std::string(WireBuffer::kSmall - 1, 'x'));
        CHECK(wire.fill(line.transport(), kFarMs).len == WireBuffer::kSmall - 1);
        CHECK(wire.capacity() == WireBuffer::kSmall);
    }
}

TEST_CASE("a wire buffer holds nothing once the peer has closed")
{
    Line line;
    WireBuffer wire;
    line.send("last");
    CHECK(wire.fill(line.transport(), kFarMs).result == Result::bytes);
    line.close();
    CHECK(wire.fill(line.transport(), kFarMs).result == Result::end);
    CHECK(wire.bytes().empty());
}

TEST_SUITE_END();
