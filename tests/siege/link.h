// link.h: one connection of those who besiege a server or want to be served meanwhile: TCP, or
// TLS over it, that never waits and takes every end as it comes. What is said through it is
// others' business.
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
    // Begins to connect to 127.0.0.1. tls: nullptr for TCP alone. receive_buffer: 0 for the
    // system's.
    Link(uint16_t port, bench::TlsClient *tls, int receive_buffer = 0);
    ~Link();
    Link(const Link &) = delete;
    Link &operator=(const Link &) = delete;

    int fd() const { return fd_; }

    // The TLS handshake, as far as it goes now.
    Progress secure();

    // One KeyUpdate that asks for the server's; later: the socket does not take it now.
    Progress update_keys();

    // How many bytes there were, or were taken; nullopt: it has ended. After 0 the same
    // bytes must be sent next.
    std::optional<size_t> receive(std::span<char> into);
    std::optional<size_t> send(std::string_view bytes);

  private:
    std::optional<size_t> later_or_ended(int result) const;

    int fd_;
    bench::OwnedSsl ssl_;
};

} // namespace siege
