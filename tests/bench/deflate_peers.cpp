// deflate_peers.cpp: see deflate_peers.h.
#include "deflate_peers.h"

#include "exchange.h"
#include "meter.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace bench {

namespace {

constexpr int64_t kStallNs = 10'000'000'000; // after this long without data the server hangs
constexpr int kWaitMs = 100;

} // namespace

DeflatePeers::DeflatePeers(const Settings &settings)
    : settings_(settings), texts_(settings.message), epoll_(epoll_create1(EPOLL_CLOEXEC)),
      last_receipt_at_(now_ns()), plain_(texts_.longest() + 1)
{
}

void DeflatePeers::open(DeflatePeer &peer, size_t number)
{
    peer.stream = connect_and_secure(settings_, nullptr, number);
    Agreement agreement = open_websocket(peer.stream);
    if (agreement_ && agreement_->answer != agreement.answer)
        give_up("handshake: the server has answered another client otherwise");
    if (!agreement_) {
        requests_.emplace(texts_, agreement);
        agreement_ = std::move(agreement);
    }
    if (agreement_->compression)
        peer.inflate.emplace(*agreement_);
    peer.sent = peer.received = number;
    set_blocking(peer.stream.fd(), false);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
    last_receipt_at_ = now_ns();
}

Agreement DeflatePeers::open_websocket(Stream &stream) const
{
    if (!stream.send_all(deflate_handshake(settings_.compressed)))
        give_up("handshake: cannot send");
    // The server only answers, so nothing follows the response.
    std::string response;
    char bytes[2048];
    while (response.find("\r\n\r\n") == response.npos) {
        const ssize_t n = stream.receive(bytes);
        if (n <= 0)
            give_up("handshake: no complete response");
        response.append(bytes, static_cast<size_t>(n));
    }
    return agreement_of(response, settings_.compressed);
}

std::span<const epoll_event> DeflatePeers::wait()
{
    const int count = epoll_wait(epoll_, events_, kEvents, kWaitMs);
    if (now_ns() - last_receipt_at_ > kStallNs)
        give_up("nothing came back for ten seconds");
    return {events_, static_cast<size_t>(std::max(count, 0))};
}

void DeflatePeers::receive(DeflatePeer &peer, const FrameReader::Take &take)
{
    const ssize_t n = peer.stream.receive(buffer_);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up("the server closed a connection");
    last_receipt_at_ = now_ns();
    peer.reader.read({buffer_.data(), static_cast<size_t>(n)}, take);
}

std::string_view DeflatePeers::text_of(DeflatePeer &peer, bool compressed, std::string_view payload)
{
    if (!compressed)
        return payload;
    if (!peer.inflate)
        give_up("a compressed message that was not agreed on");
    return peer.inflate->message(payload, plain_);
}

void DeflatePeers::check(DeflatePeer &peer, bool compressed, std::string_view payload)
{
    const std::string_view text = text_of(peer, compressed, payload);
    if (text != texts_.text(peer.received))
        give_up("a wrong message came back");
    ++peer.received;
    count(peer, compressed, text.size());
}

void DeflatePeers::count(const DeflatePeer &peer, bool compressed, size_t plain_bytes)
{
    ++figures_.messages;
    figures_.compressed += compressed;
    figures_.plain_bytes += plain_bytes;
    figures_.wire_bytes += peer.reader.wire_bytes();
}

void DeflatePeers::send(DeflatePeer &peer, size_t end)
{
    while (peer.sent < end) {
        const std::string_view rest = requests_->frame(peer.sent).substr(peer.sent_offset);
        const iovec part{const_cast<char *>(rest.data()), rest.size()};
        const ssize_t n = peer.stream.send({&part, 1});
        if (n < 0 && errno == EAGAIN)
            return want_writable(peer, true);
        if (n < 0)
            give_up("cannot send");
        peer.sent_offset += static_cast<size_t>(n);
        if (static_cast<size_t>(n) < rest.size())
            continue;
        peer.sent_offset = 0;
        ++peer.sent;
    }
    want_writable(peer, false);
}

void DeflatePeers::want_writable(DeflatePeer &peer, bool wanted)
{
    if (peer.blocked == wanted)
        return;
    peer.blocked = wanted;
    const uint32_t interest = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
    epoll_event event{.events = interest, .data = {.ptr = &peer}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
}

void DeflatePeers::print_figures() const
{
    const auto share = [](uint64_t a, uint64_t b) {
        return b ? static_cast<double>(a) / static_cast<double>(b) : 0;
    };
    std::printf("\"ratio\": %.4f, \"compressed\": %.4f, \"payload\": %.1f, \"answer\": \"%s\"",
                share(figures_.plain_bytes, figures_.wire_bytes),
                share(figures_.compressed, figures_.messages),
                share(figures_.plain_bytes, figures_.messages), agreement_->answer.c_str());
}

} // namespace bench
