// link.h: one connection of an attacker or an honest client: TCP, or TLS over it, that never
// waits and accepts any end. What is sent through it is decided elsewhere.
#pragma once

#include "tests/bench/stream.h"

#include <optional>
#include <span>
#include <string_view>

namespace siege {

enum class Progress { done, later, ended };

class Link
{
  public:
    // Starts connecting to 127.0.0.1. tls: nullptr for plain TCP. receive_buffer: 0 for the
    // system's default.
    Link(uint16_t port, bench::TlsClient *tls, int receive_buffer = 0);
    ~Link();
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;

    int fd() const { return fd_; }

    // The TLS handshake, as far as it goes now.
    Progress secure();

    // Sends a KeyUpdate that asks for the server's. later: the socket does not take it now.
    Progress update_keys();

    // Bytes received or taken; nullopt if the connection has ended. After 0 the next send must
    // begin with the same bytes.
    std::optional<size_t> receive(std::span<char> into);
    std::optional<size_t> send(std::string_view bytes);

  private:
    std::optional<size_t> later_or_ended(int result) const;

    int fd_;
    bench::OwnedSsl ssl_;
};

} // namespace siege
