// deflate_load.cpp: a closed loop of echoes over many connections, compressed or plain, from one
// thread, inflating and comparing each answer. Prints one line of JSON: like load.cpp, and what
// came over the wire. With --hold it measures nothing: when every connection has had more than a
// window it prints "open N" and keeps them all, silent, until its standard input ends, so that
// whoever started it can measure the server's memory.
#include "deflate_peers.h"
#include "exchange.h"
#include "meter.h"

#include <cstdio>
#include <unistd.h>
#include <vector>

namespace bench {
namespace {

constexpr size_t kWindow = 32 * 1024;

struct Echoer : DeflatePeer {
    size_t offered = 0;           // messages before this one have been offered to the socket
    size_t received_bytes = 0;    // since the beginning
    std::vector<int64_t> sent_at; // of the messages in flight, by number modulo depth
};

class Load
{
  public:
    explicit Load(const Settings &settings)
        : settings_(settings), peers_(settings), echoers_(settings.connections)
    {
        for (size_t i = 0; i < echoers_.size(); ++i)
            open(echoers_[i], i);
    }

    void run();

  private:
    void open(Echoer &echoer, size_t number);
    void serve_once();
    void receive(Echoer &echoer);
    void send_more(Echoer &echoer);
    bool is_done(const Echoer &echoer) const;
    void hold();
    void report(const CpuMeter::Figures &figures) const;

    const Settings &settings_;
    DeflatePeers peers_;
    Histogram latencies_;
    std::vector<Echoer> echoers_;
};

void Load::open(Echoer &echoer, size_t number)
{
    peers_.open(echoer, number);
    echoer.offered = number;
    echoer.sent_at.resize(settings_.depth);
}

void Load::run()
{
    for (Echoer &echoer : echoers_)
        send_more(echoer);
    if (settings_.hold)
        return hold();
    report(measure(
        settings_, [&] { serve_once(); },
        [&] {
            latencies_.clear();
            peers_.clear_figures();
        }));
}

void Load::serve_once()
{
    for (const epoll_event &event : peers_.wait()) {
        Echoer &echoer = static_cast<Echoer &>(*static_cast<DeflatePeer *>(event.data.ptr));
        if (event.events & ~static_cast<uint32_t>(EPOLLOUT))
            receive(echoer);
        send_more(echoer);
    }
}

void Load::receive(Echoer &echoer)
{
    peers_.receive(echoer, [&](bool compressed, std::string_view payload) {
        if (echoer.received >= echoer.sent)
            give_up("an answer came to something not sent");
        echoer.received_bytes += peers_.texts().text(echoer.received).size();
        latencies_.add(peers_.last_receipt_at() -
                       echoer.sent_at[echoer.received % settings_.depth]);
        peers_.check(echoer, compressed, payload);
    });
}

void Load::send_more(Echoer &echoer)
{
    const size_t end = is_done(echoer) ? echoer.offered : echoer.received + settings_.depth;
    const int64_t now = now_ns();
    for (; echoer.offered < end; ++echoer.offered)
        echoer.sent_at[echoer.offered % settings_.depth] = now;
    peers_.send(echoer, end);
}

bool Load::is_done(const Echoer &echoer) const
{
    return settings_.hold && echoer.received_bytes > kWindow;
}

void Load::hold()
{
    const auto is_busy = [&](const Echoer &echoer) {
        return !is_done(echoer) || echoer.received < echoer.offered;
    };
    for (const Echoer &echoer : echoers_)
        while (is_busy(echoer))
            serve_once();
    std::printf("open %zu\n", echoers_.size());
    std::fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

void Load::report(const CpuMeter::Figures &figures) const
{
    const auto messages = static_cast<double>(latencies_.total());
    if (messages == 0)
        give_up("no message in the measured time");
    std::printf("{\"messages\": %.0f, \"seconds\": %.4f, \"per_second\": %.1f, ", messages,
                figures.seconds, messages / figures.seconds);
    print_latencies(latencies_);
    std::printf(", ");
    print_costs(figures, messages);
    std::printf(", ");
    peers_.print_figures();
    std::printf("}\n");
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv);
    bench::allow_files(settings.connections);
    bench::Load(settings).run();
    return 0; // the kernel closes the sockets, as for any client that goes away
}
