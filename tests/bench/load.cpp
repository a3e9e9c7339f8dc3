// load.cpp: a closed loop of echoes over many connections, from one thread, checking every
// byte that comes back. Prints one line of JSON: how many messages, how late, and what
// they cost the server's process in CPU time; least_served is how many messages the
// slowest connection had, as a part of the average one's.
#include "exchange.h"
#include "meter.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <sys/epoll.h>
#include <vector>

namespace bench {
namespace {

constexpr int64_t kStallNs = 10'000'000'000; // nothing came for so long: it hangs

struct Peer {
    Stream stream;
    bool blocked = false; // its last send did not fit
    Cursor to_send;
    Cursor to_receive;
    size_t offered = 0;           // messages before this one have been offered to the socket
    size_t measured_from = 0;     // to_receive.message when the measured time began
    std::vector<int64_t> sent_at; // of the messages in flight, by number modulo depth
};

class Load
{
  public:
    explicit Load(const Settings &settings)
        : settings_(settings), exchange_(settings), cpu_(settings.server),
          peers_(settings.connections), epoll_(epoll_create1(EPOLL_CLOEXEC))
    {
        if (settings.tls)
            tls_.emplace(settings);
        for (size_t i = 0; i < peers_.size(); ++i)
            open(peers_[i], i);
    }

    void run();

  private:
    void open(Peer &peer, size_t number);
    void serve_once();
    void receive(Peer &peer);
    void send_more(Peer &peer);
    void want_writable(Peer &peer, bool wanted);
    void report(const CpuMeter::Figures &figures) const;

    const Settings &settings_;
    const Exchange exchange_;
    CpuMeter cpu_;
    Histogram latencies_;
    std::optional<TlsClient> tls_;
    std::vector<Peer> peers_;
    int epoll_;
    int64_t last_answer_at_ = now_ns();
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

void Load::open(Peer &peer, size_t number)
{
    peer.stream = connect_and_open(settings_, tls_ ? &*tls_ : nullptr);
    set_blocking(peer.stream.fd(), false);
    peer.to_send.message = peer.to_receive.message = peer.offered = number;
    peer.sent_at.resize(settings_.depth);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
}

void Load::run()
{
    const auto ns = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
    for (Peer &peer : peers_)
        send_more(peer);
    const int64_t warm_at = now_ns() + ns(settings_.warmup_seconds);
    while (now_ns() < warm_at)
        serve_once();
    latencies_.clear();
    for (Peer &peer : peers_)
        peer.measured_from = peer.to_receive.message;
    cpu_.start();
    const int64_t end_at = now_ns() + ns(settings_.seconds);
    while (now_ns() < end_at)
        serve_once();
    report(cpu_.stop());
}

void Load::serve_once()
{
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, 100);
    for (int i = 0; i < count; ++i) {
        Peer &peer = *static_cast<Peer *>(events[i].data.ptr);
        if (events[i].events & ~EPOLLOUT)
            do
                receive(peer);
            while (peer.stream.has_more());
        send_more(peer);
    }
    if (now_ns() - last_answer_at_ > kStallNs)
        give_up("nothing has come back for ten seconds");
}

void Load::receive(Peer &peer)
{
    const ssize_t n = peer.stream.receive(buffer_);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up("the server has closed a connection");
    const size_t before = peer.to_receive.message;
    if (!peer.to_receive.received(exchange_, {buffer_.data(), static_cast<size_t>(n)}))
        give_up("wrong bytes have come back");
    if (peer.to_receive.message > peer.to_send.message)
        give_up("an answer has come to what was not sent");
    last_answer_at_ = now_ns();
    for (size_t i = before; i < peer.to_receive.message; ++i)
        latencies_.add(last_answer_at_ - peer.sent_at[i % settings_.depth]);
}

void Load::send_more(Peer &peer)
{
    const size_t end = peer.to_receive.message + settings_.depth;
    while (peer.to_send.message < end) {
        iovec parts[64];
        const size_t count = peer.to_send.gather(exchange_, end, parts);
        const int64_t now = now_ns();
        for (; peer.offered < peer.to_send.message + count; ++peer.offered)
            peer.sent_at[peer.offered % settings_.depth] = now;
        const ssize_t n = peer.stream.send({parts, count});
        if (n < 0 && errno == EAGAIN)
            return want_writable(peer, true);
        if (n < 0)
            give_up("cannot send");
        peer.to_send.sent(exchange_, static_cast<size_t>(n));
    }
    want_writable(peer, false);
}

void Load::want_writable(Peer &peer, bool wanted)
{
    if (peer.blocked == wanted)
        return;
    peer.blocked = wanted;
    const uint32_t interest = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    epoll_event event{.events = interest, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
}

void Load::report(const CpuMeter::Figures &figures) const
{
    const auto messages = static_cast<double>(latencies_.total());
    if (messages == 0)
        give_up("no message in the measured time");
    size_t least = SIZE_MAX;
    for (const Peer &peer : peers_)
        least = std::min(least, peer.to_receive.message - peer.measured_from);
    std::printf("{\"cipher\": \"%s\", \"messages\": %.0f, \"seconds\": %.4f, \"per_second\": %.1f, "
                "\"mib_per_second\": %.2f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
                "\"server_us\": %.3f, \"server_cores\": %.3f, \"client_cores\": %.3f, "
                "\"least_served\": %.3f}\n",
                peers_.front().stream.cipher(), messages, figures.seconds,
                messages / figures.seconds,
                messages * static_cast<double>(settings_.payload) / figures.seconds / 1048576,
                latencies_.quantile(0.5), latencies_.quantile(0.99), latencies_.quantile(1),
                figures.server_seconds * 1e6 / messages, figures.server_seconds / figures.seconds,
                figures.client_seconds / figures.seconds,
                static_cast<double>(least) * static_cast<double>(peers_.size()) / messages);
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv);
    bench::Load(settings).run();
    return 0; // the sockets are closed with the process, as by a client that goes away
}
