// peers.h: the connections of a client that keeps them, each with its place in the exchange,
// all in one epoll. When something is sent is load.cpp's, fanout.cpp's and crowd.cpp's.
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

    // Connects, makes the handshakes and has wait() tell of it; number is its place among all.
    void open(Peer &peer, size_t number);

    // What has happened to whom, after at most so long: data.ptr is the Peer. Gives up
    // when nothing has come for ten seconds, unless the caller says that this is no wonder.
    std::span<const epoll_event> wait(int64_t most_ns, bool may_be_silent = false);

    enum class Received { nothing, bytes, end, wrong };
    Received receive(Peer &peer);
    // All that is there; gives up when that is not what must come.
    void receive_all(Peer &peer);
    // The messages before `end`, as far as the socket takes them now. False: it is broken.
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
