// peers.cpp: see peers.h.
#include "peers.h"

#include "meter.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>

namespace bench {

namespace {

constexpr int64_t kStallNs = 10'000'000'000; // after this long without data the server hangs

} // namespace

Peers::Peers(const Settings &settings)
    : settings_(settings), exchange_(settings), epoll_(epoll_create1(EPOLL_CLOEXEC)),
      last_receipt_at_(now_ns())
{
    if (settings.tls)
        tls_.emplace(settings);
}

void Peers::open(Peer &peer, size_t number)
{
    peer.stream = connect_and_open(settings_, tls_ ? &*tls_ : nullptr, number);
    set_blocking(peer.stream.fd(), false);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
    last_receipt_at_ = now_ns();
}

std::span<const epoll_event> Peers::wait(int64_t most_ns, bool may_be_silent)
{
    // epoll_wait's milliseconds are too coarse for a pace.
    if (most_ns % 1'000'000 != 0) {
        pollfd ready{.fd = epoll_, .events = POLLIN, .revents = 0};
        const timespec limit{.tv_sec = static_cast<time_t>(most_ns / 1'000'000'000),
                             .tv_nsec = static_cast<long>(most_ns % 1'000'000'000)};
        (void)ppoll(&ready, 1, &limit, nullptr);
        most_ns = 0;
    }
    const int count = epoll_wait(epoll_, events_, kEvents, static_cast<int>(most_ns / 1'000'000));
    if (!may_be_silent && now_ns() - last_receipt_at_ > kStallNs)
        give_up("nothing came back for ten seconds");
    return {events_, static_cast<size_t>(std::max(count, 0))};
}

Peers::Received Peers::receive(Peer &peer)
{
    const ssize_t n = peer.stream.receive(buffer_);
    if (n < 0 && errno == EAGAIN)
        return Received::nothing;
    if (n <= 0)
        return Received::end;
    if (!peer.to_receive.received(exchange_, {buffer_.data(), static_cast<size_t>(n)}))
        return Received::wrong;
    last_receipt_at_ = now_ns();
    return Received::bytes;
}

void Peers::receive_all(Peer &peer)
{
    do {
        const Received received = receive(peer);
        if (received == Received::end)
            give_up("the server closed a connection");
        if (received == Received::wrong)
            give_up("wrong bytes came back");
    } while (peer.stream.has_more());
}

bool Peers::send(Peer &peer, size_t end)
{
    while (peer.to_send.message < end) {
        iovec parts[64];
        const size_t count = peer.to_send.gather(exchange_, end, parts);
        const ssize_t n = peer.stream.send({parts, count});
        if (n < 0 && errno == EAGAIN) {
            want_writable(peer, true);
            return true;
        }
        if (n < 0)
            return false;
        peer.to_send.sent(exchange_, static_cast<size_t>(n));
    }
    want_writable(peer, false);
    return true;
}

void Peers::want_writable(Peer &peer, bool wanted)
{
    if (peer.blocked == wanted)
        return;
    peer.blocked = wanted;
    const uint32_t interest = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    epoll_event event{.events = interest, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
}

} // namespace bench
