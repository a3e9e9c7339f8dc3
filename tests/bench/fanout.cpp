// fanout.cpp: one sender and --connections receivers, from one thread: each message of the
// sender must reach all of them and the sender itself, checked byte by byte, before the
// next is sent (--depth: so many under way). Prints one line of JSON: deliveries, what one
// cost the server's process, and how long after its sending the last receiver had it.
#include "meter.h"
#include "peers.h"

#include <cstdio>
#include <vector>

namespace bench {
namespace {

constexpr int kDeafBuffer = 4096; // so that it is full soon

class FanOut
{
  public:
    explicit FanOut(const Settings &settings)
        : settings_(settings), peers_(settings), members_(settings.connections + 1),
          sender_(members_.front()), under_way_(settings.depth)
    {
        for (size_t i = 0; i < settings.deaf; ++i)
            deaf_.push_back(connect_and_open(settings, nullptr, members_.size() + i, kDeafBuffer));
        for (size_t i = 0; i < members_.size(); ++i)
            peers_.open(members_[i], i);
    }

    void run();

  private:
    struct Message {
        int64_t sent_at = 0;
        size_t delivered = 0; // to so many
    };

    void send_more();
    void serve_once();
    void deliver(size_t number);
    void report(const CpuMeter::Figures &figures) const;

    const Settings &settings_;
    Peers peers_;
    Histogram latencies_;
    uint64_t deliveries_ = 0;
    std::vector<Peer> members_;
    std::vector<Stream> deaf_; // which get it all, too, and read nothing
    Peer &sender_;
    std::vector<Message> under_way_; // by number modulo depth
    size_t offered_ = 0;             // messages before this one have been offered to the socket
    size_t finished_ = 0;            // messages before this one have reached everybody
};

void FanOut::run()
{
    send_more();
    report(measure(
        settings_, [&] { serve_once(); },
        [&] {
            latencies_.clear();
            deliveries_ = 0;
        }));
}

void FanOut::send_more()
{
    const size_t end = finished_ + settings_.depth;
    const int64_t now = now_ns();
    for (; offered_ < end; ++offered_)
        under_way_[offered_ % settings_.depth] = {.sent_at = now, .delivered = 0};
    if (!peers_.send(sender_, end))
        give_up("cannot send");
}

void FanOut::serve_once()
{
    for (const epoll_event &event : peers_.wait(100'000'000)) {
        Peer &member = *static_cast<Peer *>(event.data.ptr);
        const size_t before = member.to_receive.message;
        peers_.receive_all(member);
        if (member.to_receive.message > sender_.to_send.message)
            give_up("a message has come that was not sent");
        for (size_t i = before; i < member.to_receive.message; ++i)
            deliver(i);
    }
    if (sender_.to_send.message < finished_ + settings_.depth)
        send_more();
}

// TCP keeps the order, so messages are finished in theirs.
void FanOut::deliver(size_t number)
{
    Message &message = under_way_[number % settings_.depth];
    ++deliveries_;
    if (++message.delivered < members_.size())
        return;
    latencies_.add(peers_.last_receipt_at() - message.sent_at);
    finished_ = number + 1;
}

void FanOut::report(const CpuMeter::Figures &figures) const
{
    if (latencies_.total() == 0)
        give_up("no message has reached everybody in the measured time");
    const auto deliveries = static_cast<double>(deliveries_);
    std::printf("{\"messages\": %.0f, \"receivers\": %zu, \"seconds\": %.4f, "
                "\"per_second\": %.1f, ",
                static_cast<double>(latencies_.total()), members_.size(), figures.seconds,
                deliveries / figures.seconds);
    print_latencies(latencies_);
    std::printf(", ");
    print_costs(figures, deliveries);
    std::printf("}\n");
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv, {.connections = 500});
    if (settings.raw)
        bench::give_up("fanout is for WebSocket: its server has to know where a message ends");
    bench::allow_files(settings.connections + 1 + settings.deaf);
    bench::FanOut(settings).run();
    return 0;
}
