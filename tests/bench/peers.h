// peers.h: connections that stay open, each with its place in the exchange, all in one epoll.
// When to send is up to load.cpp, fanout.cpp and crowd.cpp.
#pragma once

#include "exchange.h"

#include <optional>
#include <sys/epoll.h>
#include <vector>

namespace bench {

struct Peer {
    Stream stream;
    bool blocked = false; // its last send did not fit
    Cursor to_send;
    Cursor to_receive;
};

class Peers
{
  public:
    explicit Peers(const Settings &settings);

    // Connects, makes the handshakes and adds the peer to the epoll; number is its place among
    // all.
    void open(Peer &peer, size_t number);

    // Events after at most this long: data.ptr is the Peer. Gives up when nothing has come for
    // ten seconds, unless the caller expects silence.
    std::span<const epoll_event> wait(int64_t most_ns, bool may_be_silent = false);

    enum class Received { nothing, bytes, end, wrong };
    Received receive(Peer &peer);
    // Receives all that is there; gives up if it is not what must come.
    void receive_all(Peer &peer);
    // Sends the messages before `end`, as far as the socket takes them now. False if it is
    // broken.
    bool send(Peer &peer, size_t end);

    const Exchange &exchange() const { return exchange_; }
    int64_t last_receipt_at() const { return last_receipt_at_; }

  private:
    static constexpr int kEvents = 256;

    void want_writable(Peer &peer, bool wanted);

    const Settings &settings_;
    const Exchange exchange_;
    std::optional<TlsClient> tls_;
    int epoll_;
    int64_t last_receipt_at_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
    epoll_event events_[kEvents];
};

} // namespace bench
