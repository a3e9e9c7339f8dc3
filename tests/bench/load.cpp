// load.cpp: a closed loop of echoes over many connections, from one thread, checking every
// byte that comes back. Prints one line of JSON: the number of messages, their latency, and
// their cost in CPU time of the server's process. least_served is how many messages the
// slowest connection had, as a share of the average.
#include "meter.h"
#include "peers.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace bench {
namespace {

struct Echoer : Peer {
    size_t offered = 0;           // messages before this one have been offered to the socket
    size_t measured_from = 0;     // to_receive.message when the measured time began
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
    void report(const CpuMeter::Figures &figures) const;

    const Settings &settings_;
    Peers peers_;
    Histogram latencies_;
    std::vector<Echoer> echoers_;
};

void Load::open(Echoer &echoer, size_t number)
{
    peers_.open(echoer, number);
    echoer.to_send.message = echoer.to_receive.message = echoer.offered = number;
    echoer.sent_at.resize(settings_.depth);
}

void Load::run()
{
    for (Echoer &echoer : echoers_)
        send_more(echoer);
    report(measure(
        settings_, [&] { serve_once(); },
        [&] {
            latencies_.clear();
            for (Echoer &echoer : echoers_)
                echoer.measured_from = echoer.to_receive.message;
        }));
}

void Load::serve_once()
{
    for (const epoll_event &event : peers_.wait(100'000'000)) {
        Echoer &echoer = static_cast<Echoer &>(*static_cast<Peer *>(event.data.ptr));
        if (event.events & ~static_cast<uint32_t>(EPOLLOUT))
            receive(echoer);
        send_more(echoer);
    }
}

void Load::receive(Echoer &echoer)
{
    const size_t before = echoer.to_receive.message;
    peers_.receive_all(echoer);
    if (echoer.to_receive.message > echoer.to_send.message)
        give_up("an answer came to something not sent");
    for (size_t i = before; i < echoer.to_receive.message; ++i)
        latencies_.add(peers_.last_receipt_at() - echoer.sent_at[i % settings_.depth]);
}

void Load::send_more(Echoer &echoer)
{
    const size_t end = echoer.to_receive.message + settings_.depth;
    const int64_t now = now_ns();
    for (; echoer.offered < end; ++echoer.offered)
        echoer.sent_at[echoer.offered % settings_.depth] = now;
    if (!peers_.send(echoer, end))
        give_up("cannot send");
}

void Load::report(const CpuMeter::Figures &figures) const
{
    const auto messages = static_cast<double>(latencies_.total());
    if (messages == 0)
        give_up("no message in the measured time");
    size_t least = SIZE_MAX;
    for (const Echoer &echoer : echoers_)
        least = std::min(least, echoer.to_receive.message - echoer.measured_from);
    std::printf("{\"cipher\": \"%s\", \"messages\": %.0f, \"seconds\": %.4f, \"per_second\": %.1f, "
                "\"mib_per_second\": %.2f, \"least_served\": %.3f, ",
                echoers_.front().stream.cipher(), messages, figures.seconds,
                messages / figures.seconds,
                messages * static_cast<double>(settings_.payload) / figures.seconds / 1048576,
                static_cast<double>(least) * static_cast<double>(echoers_.size()) / messages);
    print_latencies(latencies_);
    std::printf(", ");
    print_costs(figures, messages);
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
